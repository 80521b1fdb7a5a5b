import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { readConfig } from "../../server/config.ts";
import { createLogger } from "../../server/logger.ts";
import { createHandler } from "../../server.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { type Serving, serveHere, sync, withServer } from "../support/http.ts";
import {
  body,
  client,
  LAST_INDEX,
  MAX_BODY,
  other,
  payload,
  problemIn,
  user,
} from "../support/requests.ts";
import { newClient } from "../support/users.ts";

describe("a request at the limits of the rules", () => {
  let server: Serving;
  before(async () => {
    server = await serveHere({ MAX_BODY: String(MAX_BODY) });
  });
  after(() => server.close());

  /** The status of a request by a new client. */
  async function statusOf(content: string, headers: Record<string, string> = {}) {
    const response = await fetch(new URL("/sync", server.url), {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: content.replaceAll(client, newClient()),
    });
    await response.text();
    return response.status;
  }

  it("is accepted with UUIDs in upper case, which equal those in lower case", async () => {
    const sender = newClient();
    const request = { user, client_id: sender.toUpperCase(), operation_index: 0, payload };
    assert.equal((await sync(server.url, request)).status, 200);
    const reader = { user, client_id: newClient() };
    const { operations } = await sync(server.url, reader);
    assert.ok(operations.some(({ client_id }) => client_id === sender));
    const sync_status = { [sender.toUpperCase()]: 0 };
    const later = await sync(server.url, { ...reader, sync_status });
    assert.ok(!later.operations.some(({ client_id }) => client_id === sender));
  });

  const edges: [string, string, Record<string, string>?][] = [
    ["its charset", body(), { "Content-Type": "application/json; charset=utf-8" }],
    ["its charset in quotes", body(), { "Content-Type": 'application/json;charset="UTF-8"' }],
    ["no compression, named", body(), { "Content-Encoding": "identity" }],
    ["the last index there is", body({ operation_index: LAST_INDEX, payload: undefined })],
    ["no index and no payload", body({ operation_index: undefined, payload: undefined })],
    ["no sync status", body({ sync_status: undefined })],
    ["a status beyond what is stored", body({ sync_status: { [other]: LAST_INDEX } })],
    ["an index in another form of number", body().replace('index":0', 'index":0.0e1')],
    ["a batch of one", body({ payload: [payload] })],
    ["a surrogate pair", body({ payload: "\ud83d\udd12" })],
    ["exactly MAX_BODY", body({ payload: "x".repeat(MAX_BODY - body({ payload: "" }).length) })],
  ];
  for (const [what, content, headers] of edges) {
    it(`is accepted with ${what}`, async () => {
      assert.equal(await statusOf(content, headers), 200);
    });
  }

  it("is answered without a body when it is HEAD", async () => {
    for (const path of ["/health", "/ready"]) {
      const response = await fetch(new URL(path, server.url), { method: "HEAD" });
      assert.equal(response.status, 200);
      assert.equal(await response.text(), "");
    }
  });
});

describe("an answer of /sync", () => {
  it("has the largest body that the server accepts, whatever the answer is", async () => {
    await withServer({ MAX_BODY: String(MAX_BODY) }, async ({ url }) => {
      const headers = { "Content-Type": "application/json" };
      const requests: [number, string, RequestInit][] = [
        [200, "/sync", { method: "POST", headers, body: body() }],
        [400, "/sync", { method: "POST", headers, body: "{" }],
        [401, "/sync", { method: "DELETE", headers, body: JSON.stringify({ user }) }],
        [413, "/sync", { method: "POST", headers, body: "x".repeat(MAX_BODY + 1) }],
        [204, "/sync", { method: "OPTIONS" }],
        [405, "/sync", {}],
        [200, "/health", {}],
      ];
      for (const [status, path, init] of requests) {
        const answer = await fetch(new URL(path, url), init);
        await answer.text();
        assert.equal(answer.status, status);
        const expected = path === "/sync" ? String(MAX_BODY) : null;
        assert.equal(answer.headers.get("max-body"), expected, String(status));
      }
    });
  });
});

describe("the lines of a response", () => {
  it("split only at line feeds, and a batch with line separators is stored once", async () => {
    await withServer({}, async ({ url }) => {
      const payloads = ["a\u0085b", "\u2028", "\u2029\u{1f512}", "é\n"];
      const sender = { user, client_id: newClient() };
      const batch = { ...sender, operation_index: 0, payload: payloads };
      const single = { ...sender, operation_index: 4, payload: payloads[1] };
      for (const request of [batch, single, batch, single]) {
        assert.equal((await sync(url, request)).status, 200);
      }
      const { text, operations } = await sync(url, { user, client_id: newClient() });
      assert.deepEqual(
        operations.map((operation) => operation.payload),
        [...payloads, payloads[1]],
      );
      assert.equal(text.split(/[\n\r\v\f\u0085\u2028\u2029]/).length, 6);
      assert.match(text, /"payload":"a\\u0085b"}\n.*"payload":"\\u2028"}\n/);
    });
  });
});

describe("a request of a web page", () => {
  const EXPOSED =
    "Operation-Count, Max-Body, Preference-Applied, Retry-After, RateLimit, RateLimit-Policy, Date, Accept-Signature, Request-Id";

  /** The CORS headers of a preflight, of an answer and of refusals. */
  async function corsHeaders(url: string, origin?: string) {
    const headers: Record<string, string> = { "Content-Type": "application/json" };
    if (origin !== undefined) headers.Origin = origin;
    const send = (method: string, path: string, content?: string) =>
      fetch(new URL(path, url), { method, headers, body: content ?? null });
    const answers = [
      await send("OPTIONS", "/sync"),
      await send("POST", "/sync", body()),
      await send("GET", "/sync"),
      await send("GET", "/nothing"),
    ];
    for (const answer of answers) await answer.text();
    return answers.map(({ status, headers }) => ({
      status,
      allowed: headers.get("access-control-allow-origin"),
      exposed: headers.get("access-control-expose-headers"),
      vary: headers.get("vary"),
    }));
  }

  const page = "https://app.example";
  const cases: [string, string, string | undefined, string | null, string | null][] = [
    ["any origin, where all are allowed", "*", page, "*", null],
    ["an origin in the list", `https://a.example,${page}`, page, page, "Origin"],
    ["an origin that is not in the list", "https://a.example", page, null, "Origin"],
    ["an origin that only begins alike", page, `${page}.evil`, null, "Origin"],
    ["no origin, where there is a list", page, undefined, null, "Origin"],
    ["no origin, where all are allowed", "*", undefined, null, null],
  ];
  for (const [what, setting, origin, allowed, vary] of cases) {
    it(`with ${what} may ${allowed === null ? "not " : ""}read every answer`, async () => {
      const exposed = allowed === null ? null : EXPOSED;
      await withServer({ CORS_ORIGIN: setting }, async ({ url }) => {
        assert.deepEqual(
          await corsHeaders(url, origin),
          [204, 200, 405, 404].map((status) => ({ status, allowed, exposed, vary })),
        );
      });
    });
  }

  it("may send JSON after a preflight that is valid for a day", async () => {
    await withServer({}, async ({ url }) => {
      const { status, headers } = await fetch(new URL("/sync", url), {
        method: "OPTIONS",
        headers: { Origin: page, "Access-Control-Request-Method": "POST" },
      });
      assert.equal(status, 204);
      assert.equal(headers.get("allow"), "POST, DELETE, OPTIONS");
      assert.equal(headers.get("access-control-allow-methods"), "POST, DELETE");
      assert.equal(
        headers.get("access-control-allow-headers"),
        "Content-Type, Content-Digest, Prefer, Signature, Signature-Input, Sync-Guest, Sync-Invite, Sync-Route",
      );
      assert.equal(headers.get("access-control-max-age"), "86400");
    });
  });

  it("reads the 404 of an address that is wrong, since the preflight succeeds there too", async () => {
    await withServer({}, async ({ url }) => {
      const wrong = new URL("/sync/sync", url);
      const asked = { Origin: page, "Access-Control-Request-Method": "POST" };
      const preflight = await fetch(wrong, { method: "OPTIONS", headers: asked });
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers.get("access-control-allow-origin"), "*");
      assert.equal(preflight.headers.get("access-control-allow-methods"), "POST, DELETE");
      const { status, headers } = await fetch(wrong, { method: "POST", headers: { Origin: page } });
      assert.equal(status, 404);
      assert.equal(headers.get("access-control-allow-origin"), "*");
      const other = await fetch(wrong, { method: "OPTIONS", headers: { Origin: page } });
      assert.equal(other.status, 404, "this is no preflight");
    });
  });
});

describe("a request of a user without tokens", () => {
  it("T-33 is answered with 429 and the time to wait, and stores nothing", async () => {
    const driver = new MemoryDriver();
    let seconds = 0;
    const handler = createHandler({
      config: readConfig({ RATE_LIMIT: "0.01", RATE_BURST: "1" }),
      driver,
      logger: createLogger("silent"),
      now: () => seconds * 1000,
    });
    const send = (index: number) => {
      const headers = { "Content-Type": "application/json" };
      const content = body({ operation_index: index });
      const url = "http://localhost/sync";
      return handler.fetch(new Request(url, { method: "POST", headers, body: content }));
    };

    const first = await send(0);
    assert.equal(first.status, 200);
    // The bytes of the body cost less than a thousandth of a token.
    assert.equal(first.headers.get("ratelimit"), '"user";r=0;t=101');
    assert.equal(first.headers.get("ratelimit-policy"), '"user";q=1;w=100');
    assert.equal(first.headers.get("retry-after"), null);

    const refused = await send(1);
    assert.equal(refused.status, 429);
    const problem = problemIn(429, refused.headers, await refused.text(), [user, payload]);
    assert.equal(problem.type, "urn:sync-server:rate-limited");
    assert.match(problem.detail, /Nothing was stored\. Try again in 101 s\.$/);
    assert.equal(refused.headers.get("retry-after"), "101");
    assert.equal(refused.headers.get("ratelimit"), '"user";r=0;t=101');
    assert.equal(refused.headers.get("ratelimit-policy"), '"user";q=1;w=100');
    assert.equal((await driver.list("")).length, 1);

    seconds += 101;
    assert.equal((await send(1)).status, 200);
    assert.equal((await driver.list("")).length, 2);
  });

  it("is accepted when the limit is off, and no header mentions one", async () => {
    await withServer({ RATE_LIMIT: "0", RATE_BURST: "1" }, async ({ url }) => {
      for (let i = 0; i < 5; i++) {
        const { status, headers } = await sync(url, { user, client_id: client });
        assert.equal(status, 200);
        assert.equal(headers.get("ratelimit"), null);
        assert.equal(headers.get("ratelimit-policy"), null);
      }
    });
  });
});
