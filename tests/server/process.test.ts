import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, describe, it } from "node:test";
import manifest from "../../package.json" with { type: "json" };
import { temporaryFolder } from "../support/folder.ts";
import { sync } from "../support/http.ts";
import { onlyOn } from "../support/one-runtime.ts";
import { fromSource, runToEnd, startServer } from "../support/process.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";

const user = newUser().base64;

const { skip, note } = onlyOn("Bun", "it is the same text, whatever prints it");

describe("the server as a process", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());

  it("prints where it listens in one line, syncs, and keeps what it stored over a restart", async () => {
    const [a, b] = [newClient(), newClient()];
    const first = await startServer({ STORAGE: folder.path });
    assert.equal(first.output().trimEnd().split("\n").length, 1);
    // Another spelling of the host would be another origin, with other data in the browser.
    assert.equal(new URL(first.url).hostname, "localhost");
    const stored = await sync(first.url, {
      user,
      client_id: a,
      operation_index: 0,
      payload: "sealed",
    });
    assert.equal(stored.status, 200);
    assert.equal(await first.end("SIGTERM"), 0);

    const second = await startServer({ STORAGE: folder.path });
    const { operations } = await sync(second.url, { user, client_id: b });
    assert.deepEqual(operations, [{ client_id: a, operation_index: 0, payload: "sealed" }]);
    assert.equal(await second.end("SIGINT"), 0);
  });

  it("finishes a running request after a signal, and accepts no new connection", async () => {
    const server = await startServer({ STORAGE: folder.path });
    const body = JSON.stringify({
      user,
      client_id: newClient(),
      operation_index: 0,
      payload: "late",
    });
    const socket = net.connect(server.port, new URL(server.url).hostname);
    await once(socket, "connect");
    let answer = "";
    socket.on("data", (data) => {
      answer += data;
    });
    const head = `POST /sync HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`;
    socket.write(head + body.slice(0, 100));
    // The request must reach the handler before the signal does.
    while (
      !/sync_requests_running 2/.test(await (await fetch(new URL("/metrics", server.url))).text())
    ) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const ended = server.end("SIGTERM");
    await until(() => server.output().includes("stopping"));
    await assert.rejects(fetch(new URL("/health", server.url)));
    socket.write(body.slice(100));
    assert.equal(await ended, 0);
    assert.match(answer, /HTTP\/1\.1 200 /);
  });

  it(`shows its settings with --help and its version with --version${note}`, { skip }, async () => {
    const help = await runToEnd(["--help"]);
    assert.equal(help.code, 0);
    assert.deepEqual(await runToEnd(["-h"]), help);
    for (const name of [
      "HOST",
      "PORT",
      "STORAGE",
      "LISTING_TTL",
      "RATE_LIMIT",
      "MAX_BODY",
      "LOG",
    ]) {
      assert.match(help.stdout, new RegExp(`^  ${name} `, "m"));
    }
    assert.deepEqual(await runToEnd(["--version"]), {
      code: 0,
      stdout: `${manifest.version}\n`,
      stderr: "",
    });
    for (const wrong of [["--nonsense"], [folder.path, "more"]]) {
      const { code, stderr } = await runToEnd(wrong);
      assert.equal(code, 2);
      assert.ok(stderr.startsWith(`There is no argument ${wrong.at(-1)}: see --help.`), stderr);
    }
  });

  it("takes its storage as an argument, which overrides STORAGE and is checked like it", async () => {
    const server = await startServer({ STORAGE: "memory:" }, fromSource, [folder.path]);
    assert.ok(server.output().trimEnd().endsWith(`, storage ${folder.path}`), server.output());
    assert.equal(await server.end("SIGTERM"), 0);
    const { code, stderr } = await runToEnd(["ftp://host"], { STORAGE: "memory:" });
    assert.equal(code, 1);
    assert.match(stderr, /^STORAGE must be /);
  });

  it(`does not start with wrong settings, and names all of them${note}`, { skip }, async () => {
    const { code, stderr } = await runToEnd([], { PORT: "99999", MAX_BODY: "lots", LOG: "loud" });
    assert.equal(code, 1);
    assert.match(stderr, /^PORT must be /m);
    assert.match(stderr, /^MAX_BODY must be /m);
    assert.match(stderr, /^LOG must be /m);
  });

  it("reports a port that is taken and a folder that cannot be used", async () => {
    const server = await startServer({ STORAGE: folder.path });
    const taken = await runToEnd([], { STORAGE: folder.path, PORT: String(server.port) });
    assert.equal(taken.code, 1);
    assert.match(taken.stderr, new RegExp(`could not listen on localhost:${server.port}`));
    await server.end("SIGTERM");

    const file = await runToEnd([], { STORAGE: "package.json", PORT: "0" });
    assert.equal(file.code, 1);
    assert.match(file.stderr, /^could not open the storage folder package\.json: /m);
  });
});
