/** Heads and bodies that no client sends: none makes the server fail or end. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { memoryOf } from "../../bench/lib/memory.ts";
import { type Serving, serveHere, sync } from "../support/http.ts";
import { metricOf } from "../support/metrics.ts";
import { type ServerProcess, startServer } from "../support/process.ts";
import { body, overSocket, user } from "../support/requests.ts";
import { share } from "../support/share.ts";
import { until } from "../support/socket.ts";
import { newClient } from "../support/users.ts";

describe("any request", () => {
  let server: Serving;
  before(async () => {
    server = await serveHere({ TRUSTED_PROXIES: "127.0.0.1,::1" });
  });
  after(() => server.close());

  const piece = fc.constantFrom(
    "{",
    "}",
    "[",
    "]",
    '"',
    "\\",
    ",",
    ":",
    "0",
    "-1",
    "null",
    "\ud800",
  );
  const content = fc.oneof(
    fc.json(),
    fc.array(piece, { maxLength: 50 }).map((pieces) => pieces.join("")),
    fc
      .tuple(fc.nat(500), piece)
      .map(([at, text]) => body().slice(0, at) + text + body().slice(at + 1)),
  );
  const value = fc.stringMatching(/^[ -~]{0,200}$/);
  const name = fc.constantFrom(
    "Forwarded",
    "X-Forwarded-For",
    "Origin",
    "Content-Encoding",
    "Accept",
  );
  const type = fc.oneof(fc.constant("application/json"), value);

  it("is answered without a 500, and the next request is served", async () => {
    await fc.assert(
      fc.asyncProperty(content, type, fc.dictionary(name, value), async (text, type, more) => {
        const headers = { ...more, "Content-Type": type };
        const url = new URL("/sync", server.url);
        const response = await fetch(url, { method: "POST", headers, body: text });
        await response.text();
        assert.ok(response.status < 500, `${response.status} ${text}`);
      }),
      { numRuns: share(500) },
    );
    assert.equal((await sync(server.url, { user, client_id: newClient() })).status, 200);
    assert.ok(!server.log.some((line) => JSON.parse(line).level === "error"));
  });
});

describe("any bytes over a socket", () => {
  let server: ServerProcess;
  before(async () => {
    server = await startServer({ STORAGE: "memory:", LOG: "info", CLIENT_TIMEOUT: "1s" });
  });
  after(() => server.end("SIGKILL"));

  const long = "a".repeat(20_000);
  const right = body();
  const start = fc.oneof(
    { arbitrary: fc.constant("POST /sync HTTP/1.1"), weight: 6 },
    fc.constantFrom(
      "GET /health HTTP/1.1",
      "DELETE /sync HTTP/1.1",
      "OPTIONS * HTTP/1.1",
      "CONNECT localhost:1 HTTP/1.1",
      "TRACE / HTTP/1.1",
      "PRI * HTTP/2.0",
      "POST /sync HTTP/1.0",
      "POST /sync HTTP/0.9",
      "POST /sync HTTP/9.9",
      "POST /sync HTTP/1.1 HTTP/1.1",
      "POST /sync",
      "POST  /sync  HTTP/1.1",
      "POST\t/sync\tHTTP/1.1",
      "POST /sync\0 HTTP/1.1",
      "POST /sy\rnc HTTP/1.1",
      "POST http://[::1/sync HTTP/1.1",
      "POST http://a@b:99999/sync HTTP/1.1",
      "POST //sync HTTP/1.1",
      "POST /%ff%00/../sync?%zz#x HTTP/1.1",
      "POST sync HTTP/1.1",
      "post /sync HTTP/1.1",
      `POST /${long} HTTP/1.1`,
      `${long} /sync HTTP/1.1`,
      "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03",
      "\0",
      "",
    ),
  );
  const header = fc.oneof(
    { arbitrary: fc.constant("Content-Type: application/json"), weight: 4 },
    { arbitrary: fc.constant("Host: localhost"), weight: 4 },
    { arbitrary: fc.constant(`Content-Length: ${right.length}`), weight: 4 },
    { arbitrary: fc.constant("Transfer-Encoding: chunked"), weight: 2 },
    fc.constantFrom(
      "Content-Length: 5",
      "Content-Length: 0",
      "Content-Length: -1",
      "Content-Length: +5",
      "Content-Length: 5, 5",
      "Content-Length: 1e3",
      "Content-Length: 0x10",
      "Content-Length: 18446744073709551617",
      "Content-Length:",
      "Transfer-Encoding: chunked, chunked",
      "Transfer-Encoding: identity",
      "Transfer-Encoding: gzip, chunked",
      "Transfer-Encoding: chunked, gzip",
      "Transfer-Encoding : chunked",
      "Transfer-Encoding: \x0bchunked",
      "Transfer-Encoding:\r\n chunked",
      "Expect: 100-continue",
      "Expect: something",
      "Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings",
      "Connection: close, transfer-encoding",
      "Host: localhost:1\r\nHost: localhost:2",
      "Host: a b/c?d#e",
      "Host:",
      "X-Forwarded-For: \xff, ::ffff:1.2.3.4.5",
      'Forwarded: for="[::1";for=;;,',
      "Origin: \xe9",
      "Signature: \xff=::",
      "Signature-Input: sig=(\r\n",
      ": no name",
      "no colon",
      " folded",
      "A\0: b",
      "A: \0",
      "A: \r b",
      `A: ${long}`,
      "A: b\r\n".repeat(300),
    ),
  );
  const content = fc.oneof(
    { arbitrary: fc.constant(right), weight: 4 },
    { arbitrary: fc.constant(`${right.length.toString(16)}\r\n${right}\r\n0\r\n\r\n`), weight: 3 },
    fc.constantFrom(
      "",
      "5\r\nhello\r\n0\r\n\r\n",
      '5;a="\r\nhello\r\n0\r\nTrailer: x\r\n\r\n',
      "ffffffffffffffffff\r\nhello",
      "-1\r\nhello",
      "5\nhello\n0\n\n",
      "5\r\nhello0\r\n\r\n",
      "\0\0\0\0",
      "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ),
  );
  const message = fc
    .tuple(start, fc.array(header, { maxLength: 8 }), content, fc.nat(4))
    .chain(([line, headers, content, cut]) => {
      const whole = `${[line, ...headers].join("\r\n")}\r\n\r\n${content}`;
      // Some end early, anywhere.
      return cut > 0 ? fc.constant(whole) : fc.nat(whole.length).map((at) => whole.slice(0, at));
    });

  it("make no request fail, are released, and the next request is served", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 20, maxLength: 30 }), async (messages) => {
        // Each is followed by the end of the input, so that the server waits for no more.
        const sending = messages.map((text) =>
          overSocket(server.port, Buffer.from(text, "latin1"), true),
        );
        assert.equal((await sync(server.url, { user, client_id: newClient() })).status, 200);
        for (const answer of await Promise.all(sending)) {
          // The runtimes refuse some by themselves, as "not implemented" and the like.
          for (const [, status] of answer.matchAll(/^HTTP\/1\.\d (\d+)/gm)) {
            assert.ok(Number(status) < 500 || status === "501" || status === "505", answer);
          }
        }
      }),
      { numRuns: share(15) },
    );
    await until(async () => (await metricOf(server.url, "sync_requests_running")) === 1);
    await until(async () => (await metricOf(server.url, "sync_buffered_bytes")) === 0);
    assert.doesNotMatch(server.output(), /"level":"error"/);
  });

  it("are not kept when they are a head without an end", async () => {
    const endless = Buffer.from(`POST /sync HTTP/1.1\r\n${"A: b\r\n".repeat(700_000)}`);
    const before = memoryOf(server.pid).peak;
    await Promise.all(Array.from({ length: 50 }, () => overSocket(server.port, endless)));
    const grown = memoryOf(server.pid).peak - before;
    assert.ok(grown < (endless.byteLength * 50) / 2, `${grown} bytes more`);
    assert.equal((await sync(server.url, { user, client_id: newClient() })).status, 200);
  });
});
