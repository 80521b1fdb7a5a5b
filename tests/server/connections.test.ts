/** More connections than the process may have files, on a real server process. */
import assert from "node:assert/strict";
import net from "node:net";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { maxConnections } from "../../server/http/connections.ts";
import { temporaryFolder } from "../support/folder.ts";
import { commandFor, projectFolder, startServer } from "../support/process.ts";
import { until } from "../support/socket.ts";

const FILES = 128;
const CONNECTIONS = 200;

/** The server, which may open few files. */
const [command, ...args] = commandFor("server.ts");
const limited = {
  command: ["sh", "-c", `ulimit -n ${FILES}; exec "$0" "$@"`, command, ...args],
  folder: projectFolder,
} as const;

/** Connections that send nothing, and how many of them the server has closed. */
function connectSilently(port: number): { closed: () => number; end: () => void } {
  let closed = 0;
  const sockets = Array.from({ length: CONNECTIONS }, () => {
    const socket = net.connect(port, "localhost");
    socket.on("error", () => undefined);
    socket.once("close", () => closed++);
    return socket;
  });
  return { closed: () => closed, end: () => sockets.forEach((socket) => void socket.destroy()) };
}

describe("the limit of connections", () => {
  it("is half of the files that the process may open, without those it has open anyway", () => {
    const limits = (files: string) =>
      `Limit        Soft Limit   Hard Limit   Units\nMax open files   ${files}   4096   files\n`;
    assert.equal(maxConnections(limits("1024")), 496);
    assert.equal(maxConnections(limits("1048576")), 524_272);
    assert.equal(maxConnections(limits("10")), 1);
    assert.equal(maxConnections(limits("unlimited")), Number.POSITIVE_INFINITY);
    assert.equal(maxConnections(""), Number.POSITIVE_INFINITY);
  });

  const folder = temporaryFolder();
  after(() => folder.remove());
  const elsewhere = process.versions.bun ?? process.versions.deno;

  it(`T-46 leaves files for storage, and ends with silent connections${elsewhere === undefined ? "" : " (skipped: Node alone has limits)"}`, {
    skip: elsewhere !== undefined,
  }, async () => {
    const settings = { STORAGE: join(folder.path, "data"), CLIENT_TIMEOUT: "1s" };
    const server = await startServer(settings, limited);
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

  it(`T-46 ends silent connections when no file is left, and serves on${process.versions.deno === undefined ? " (skipped: Deno alone stops to listen then)" : ""}`, {
    skip: process.versions.deno === undefined,
  }, async () => {
    const server = await startServer({ STORAGE: join(folder.path, "again") }, limited);
    for (let flood = 1; flood <= 3; flood++) {
      const silent = connectSilently(server.port);
      await until(() => server.output().split("raise ulimit -n").length > flood);
      await until(async () => await isReady(server.url));
      assert.ok(silent.closed() > CONNECTIONS - FILES);
      silent.end();
    }
    assert.equal(await server.end("SIGTERM"), 0);
  });
});

/** Connections are refused while the server does not listen. */
function isReady(url: string): Promise<boolean> {
  return fetch(new URL("/ready", url)).then(
    ({ status }) => status === 200,
    () => false,
  );
}
