/** A server on a Unix socket, as a process. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, statSync, writeFileSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { ClientAddresses } from "../../server/http/client-address.ts";
import { temporaryFolder } from "../support/folder.ts";
import { runToEnd, startServer } from "../support/process.ts";

describe("HOST=unix:/path", () => {
  const folder = temporaryFolder();
  after(() => folder.remove());
  const path = join(folder.path, "sync.sock");
  const HOST = `unix:${path}`;
  const start = () => startServer({ HOST, STORAGE: "memory:", TRUSTED_PROXIES: "unix" });

  /** The response to a request over the socket. */
  const ask = () =>
    new Promise<string>((resolve, reject) => {
      const socket = net.connect({ path });
      let answer = "";
      socket.on("data", (data) => {
        answer += data;
      });
      socket.once("end", () => resolve(answer));
      socket.once("error", reject);
      socket.write("GET /health HTTP/1.1\r\nHost: sync.example\r\nConnection: close\r\n\r\n");
    });

  it("answers there, lets the group of its account connect, and removes the socket at the end", async () => {
    const server = await start();
    assert.ok(server.output().includes(`listens on ${HOST},`), server.output());
    assert.match(await ask(), /^HTTP\/1\.1 200 [\s\S]*"status":"ok"/);
    assert.equal(statSync(path).mode & 0o777, 0o660);
    assert.equal(await server.end("SIGTERM"), 0);
    assert.equal(existsSync(path), false);
  });

  it("takes the place of a process that was killed, and of no other", async () => {
    const killed = await start();
    await killed.end("SIGKILL");
    assert.ok(existsSync(path));
    const server = await start();
    const second = await runToEnd([], { HOST, STORAGE: "memory:" });
    assert.equal(second.code, 1);
    assert.match(second.stderr, /^could not listen on unix:.*another process listens on /);
    assert.match(await ask(), /^HTTP\/1\.1 200 /);
    assert.equal(await server.end("SIGTERM"), 0);
    writeFileSync(path, "precious");
    chmodSync(path, 0o600);
    const onFile = await runToEnd([], { HOST, STORAGE: "memory:" });
    assert.equal(onFile.code, 1);
    assert.match(onFile.stderr, /exists, and is not a socket/);
  });
});

describe("a request over a Unix socket", () => {
  const headers = new Headers({ "X-Forwarded-For": "203.0.113.9" });

  it("counts under the address that the proxy names, where TRUSTED_PROXIES has unix", () => {
    const addresses = new ClientAddresses(["unix", "127.0.0.1"]);
    assert.equal(addresses.of({ ip: undefined, headers }), "203.0.113.9");
    assert.equal(addresses.of({ ip: undefined, headers: new Headers() }), "unknown");
    assert.equal(addresses.of({ ip: "198.51.100.1", headers }), "198.51.100.1");
  });

  it("counts under none where it has not", () => {
    assert.equal(new ClientAddresses([]).of({ ip: undefined, headers }), "unknown");
  });
});
