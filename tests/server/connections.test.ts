/** More connections than the process may have files, on a real server process. */
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { join } from "node:path";
import { after, describe, it, type TestContext } from "node:test";
import { syncHead, syncRequest } from "../../bench/lib/requests.ts";
import { maxConnections } from "../../server/http/connections.ts";
import { fileLimit } from "../../server/http/open-files.ts";
import { inTime } from "../support/deadline.ts";
import { temporaryFolder } from "../support/folder.ts";
import { metricOf } from "../support/metrics.ts";
import { commandFor, projectFolder, startServer } from "../support/process.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";

const FILES = 128;
const CONNECTIONS = 200;
const APPENDS = 6;
/** Connections that leave Deno less room than it needs to listen again, and do not use up the files. */
const HELD = 80;
/** The beginning of a request whose body does not end. */
const SLOW = `${syncHead(1000)}{`;

/** The server, which may open few files. */
const [command, ...args] = commandFor("server.ts");
const limited = {
  command: ["sh", "-c", `ulimit -n ${FILES}; exec "$0" "$@"`, command, ...args],
  folder: projectFolder,
} as const;

interface Connections {
  /** How many the server has closed. */
  readonly closed: () => number;
  /** On how many it has answered. */
  readonly answered: () => number;
  readonly end: () => void;
}

/** Connections that send nothing, or no more than `start`. */
function connectSilently(port: number, start = "", length = CONNECTIONS): Connections {
  let [closed, answered] = [0, 0];
  const sockets = Array.from({ length }, () => {
    const socket = net.connect(port, "localhost", () => void (start && socket.write(start)));
    socket.on("error", () => undefined);
    socket.once("data", () => answered++);
    socket.once("close", () => closed++);
    return socket;
  });
  const end = () => sockets.forEach((socket) => void socket.destroy());
  return { closed: () => closed, answered: () => answered, end };
}

describe("the limit of connections", () => {
  it("is half of the files that the process may open, without those it has open anyway", () => {
    const limits = (files: string) =>
      `Limit        Soft Limit   Hard Limit   Units\nMax open files   ${files}   4096   files\n`;
    const maxAt = (text: string) => maxConnections(fileLimit(text));
    assert.equal(maxAt(limits("1024")), 496);
    assert.equal(maxAt(limits("1048576")), 524_272);
    assert.equal(maxAt(limits("10")), 1);
    assert.equal(maxAt(limits("unlimited")), Number.POSITIVE_INFINITY);
    assert.equal(maxAt(""), Number.POSITIVE_INFINITY);
  });

  const folder = temporaryFolder();
  after(() => folder.remove());
  const elsewhere = process.versions.bun ?? process.versions.deno;
  const start = async (t: TestContext, settings: Readonly<Record<string, string>>) => {
    const server = await startServer(settings, limited);
    // Where an assertion fails, a server that runs would keep this process running.
    t.after(() => server.end("SIGKILL"));
    return server;
  };

  it(`T-46 leaves files for storage, and ends with silent connections${elsewhere === undefined ? "" : " (skipped: Node alone has limits)"}`, {
    skip: elsewhere !== undefined,
  }, async (t) => {
    const settings = { STORAGE: join(folder.path, "data"), CLIENT_TIMEOUT: "1s" };
    const server = await start(t, settings);
    const silent = connectSilently(server.port);
    // The first are closed because they are too many, and the others because they send nothing.
    await until(() => silent.closed() > CONNECTIONS - FILES);
    await until(() => silent.closed() === CONNECTIONS);
    const ready = await fetch(new URL("/ready", server.url));
    assert.equal(ready.status, 200, await ready.text());
    assert.doesNotMatch(server.output(), /EMFILE/);
    silent.end();
    assert.equal(await server.end("SIGTERM"), 0);
  });

  it(`T-46 stops listening when connections use up the files, answers what it has begun, and listens again${elsewhere === undefined ? " (skipped: Node goes on listening)" : ""}`, {
    skip: elsewhere === undefined,
  }, async (t) => {
    const server = await start(t, { STORAGE: join(folder.path, "again") });
    for (let flood = 1; flood <= 3; flood++) {
      const appends = await Promise.all(
        Array.from({ length: APPENDS }, () => beginAppend(server.port)),
      );
      // The request for the number is another one.
      const running = () => metricOf(server.url, "sync_requests_running");
      await until(async () => (await running()) === APPENDS + 1);
      // On Bun, the system holds back a connection for seconds that has sent nothing.
      const silent = connectSilently(server.port, "P");
      await until(() => server.output().split("raise ulimit -n").length > flood);
      // Storage finds files, although Bun keeps the silent connections for 12 seconds.
      for (const answer of await Promise.all(appends.map(({ finish }) => finish()))) {
        assert.match(answer, /^HTTP\/1.1 200 /);
      }
      silent.end();
      await until(async () => await isReady(server.url));
    }
    assert.equal(await server.end("SIGTERM"), 0);
  });

  it(`T-46 listens again once running requests that use up the files have ended${elsewhere === undefined ? " (skipped: Node goes on listening)" : ""}`, {
    skip: elsewhere === undefined,
  }, async (t) => {
    const settings = { STORAGE: join(folder.path, "slow"), CLIENT_TIMEOUT: "3s" };
    const server = await start(t, settings);
    const slow = connectSilently(server.port, SLOW);
    await until(() => server.output().includes("raise ulimit -n"));
    // Deno does not end these requests by itself: see the next test.
    if (process.versions.deno !== undefined) slow.end();
    await until(async () => await isReady(server.url));
    slow.end();
    assert.equal(await server.end("SIGTERM"), 0);
  });

  it(`T-46 T-47 ends with an error when clients never close the connections that use up the files${process.versions.deno === undefined ? " (skipped: the other runtimes close them)" : ""}`, {
    skip: process.versions.deno === undefined,
  }, async (t) => {
    const settings = { STORAGE: join(folder.path, "held"), CLIENT_TIMEOUT: "1s" };
    const server = await start(t, settings);
    // Fewer than would use up the files, so that the server reads their requests, and answers them.
    const held = connectSilently(server.port, SLOW, HELD);
    await until(() => held.answered() === HELD);
    const silent = connectSilently(server.port);
    assert.equal(await inTime(server.ended, () => `it ends: ${server.output()}`), 1);
    assert.match(server.output(), /could not listen again on .*: put a proxy in front/);
    for (const connections of [held, silent]) connections.end();
  });

  it(`T-46 ends silent connections when no file is left${process.versions.deno === undefined ? " (skipped: Deno alone ends them then)" : ""}`, {
    skip: process.versions.deno === undefined,
  }, async (t) => {
    const server = await start(t, { STORAGE: join(folder.path, "ended") });
    const silent = connectSilently(server.port);
    await until(async () => silent.closed() > 0 && (await isReady(server.url)));
    assert.ok(silent.closed() > CONNECTIONS - FILES);
    silent.end();
    assert.equal(await server.end("SIGTERM"), 0);
  });
});

/** Begins the first append of a new user, and sends the last byte later. */
async function beginAppend(port: number): Promise<{ finish: () => Promise<string> }> {
  const user = newUser().base64;
  const request = { user, client_id: newClient(), operation_index: 0, payload: "sealed" };
  const text = syncRequest(JSON.stringify(request));
  const socket = net.connect(port, "localhost");
  await once(socket, "connect");
  const answered = new Promise<string>((resolve) => {
    socket.once("data", (data) => resolve(String(data)));
    socket.once("close", () => resolve("closed without an answer"));
  });
  socket.on("error", () => undefined);
  socket.write(text.subarray(0, -1));
  return {
    finish: async () => {
      socket.write(text.subarray(-1));
      const answer = await answered;
      socket.destroy();
      return answer;
    },
  };
}

/** Connections are refused while the server does not listen. */
function isReady(url: string): Promise<boolean> {
  // One that connects while the server stops listening may wait in vain.
  return fetch(new URL("/ready", url), { signal: AbortSignal.timeout(5_000) }).then(
    ({ status }) => status === 200,
    () => false,
  );
}
