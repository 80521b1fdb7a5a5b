import assert from "node:assert/strict";
import net from "node:net";
import { after, before, describe, it } from "node:test";
import { type Serving, serveHere } from "../support/http.ts";

/** Requests, and the status of their answers. None of these bodies is read, and none ends. */
const requests: readonly (readonly [string, string, number])[] = [
  ["an address that is not there", "POST /nowhere", 404],
  ["a method that is not answered", "PUT /sync", 405],
  ["a type that is not taken", "POST /sync", 415],
];

// Deno 2.9.5 announces that it closes the connection, and does not (SECURITY.md).
if (process.versions.deno === undefined) {
  describe("a connection whose request is answered before its body was read", () => {
    let server: Serving;
    before(async () => {
      server = await serveHere();
    });
    after(() => server.close());

    for (const [what, line, status] of requests) {
      it(`T-47 is closed, so that the client cannot keep sending: ${what}`, async () => {
        const socket = net.connect(server.port, "localhost");
        const received: Buffer[] = [];
        socket.on("data", (data) => received.push(data));
        // Bytes sent into a closed connection may be answered with a reset.
        socket.on("error", () => undefined);
        const closed = new Promise((resolve) => socket.once("close", resolve));
        socket.write(`${line} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n{`);
        const sending = setInterval(() => socket.writable && socket.write("x"), 5);
        await closed;
        clearInterval(sending);
        const answer = Buffer.concat(received).toString();
        assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `));
        assert.match(answer, /\r\nconnection: close\r\n/i);
      });
    }

    it("is kept when there is no body, or the body was read", async () => {
      for (const path of ["/health", "/nowhere"]) {
        const response = await fetch(new URL(path, server.url));
        assert.notEqual(response.headers.get("connection"), "close");
        await response.text();
      }
      const headers = { "Content-Type": "application/json" };
      const response = await fetch(new URL("/sync", server.url), {
        method: "POST",
        headers,
        body: "{}",
      });
      assert.equal(response.status, 400);
      assert.notEqual(response.headers.get("connection"), "close");
    });
  });
}
