/** Heads and bodies that no client sends: none is a fault of the server's own, and none ends it. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { type Serving, serveHere, sync } from "./support/http.ts";
import { body, user } from "./support/requests.ts";
import { newClient } from "./support/users.ts";

describe("whatever comes", () => {
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

  it("is answered, with no status of 500, and the next request is served", async () => {
    await fc.assert(
      fc.asyncProperty(content, type, fc.dictionary(name, value), async (text, type, more) => {
        const headers = { ...more, "Content-Type": type };
        const url = new URL("/sync", server.url);
        const response = await fetch(url, { method: "POST", headers, body: text });
        await response.text();
        assert.ok(response.status < 500, `${response.status} ${text}`);
      }),
      { numRuns: 500 },
    );
    assert.equal((await sync(server.url, { user, client_id: newClient() })).status, 200);
    assert.ok(!server.log.some((line) => JSON.parse(line).level === "error"));
  });
});
