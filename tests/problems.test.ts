import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import net from "node:net";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { readConfig } from "../config.ts";
import { createLogger } from "../logger.ts";
import { createHandler } from "../server.ts";
import { CountedDriver } from "../storage/counted.ts";
import { MemoryDriver } from "../storage/memory.ts";
import { type Serving, serveHere, sync } from "./support/http.ts";
import { startServer } from "./support/process.ts";
import { newClient, newUser } from "./support/users.ts";

const LAST_INDEX = Number.MAX_SAFE_INTEGER;
const MAX_BODY = 8192;
const user = newUser().base64;
const client = newClient();
const payload = "a payload that nobody may see again";
const other = newClient();

/** A request that is right but for some members; `undefined` leaves one out. */
function body(changes: Record<string, unknown> = {}): string {
  const right = { user, client_id: client, operation_index: 0, sync_status: {}, payload };
  return JSON.stringify({ ...right, ...changes });
}

interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly errors?: { pointer: string; detail: string }[];
}

/** Checks what is true of every refusal, and returns the problem. */
function problemIn(status: number, headers: Headers, text: string, secrets: string[]): Problem {
  assert.equal(headers.get("content-type"), "application/problem+json");
  assert.equal(headers.get("cache-control"), "no-store");
  const problem: Problem = JSON.parse(text);
  assert.equal(problem.status, status);
  assert.match(problem.type, /^urn:sync-server:[a-z-]+$/);
  assert.match(problem.detail, /^.{20,}\.$/);
  for (const secret of secrets) assert.ok(!text.includes(secret.slice(0, 24)), "a secret is told");
  return problem;
}

/** A status line, headers and a body as they came over a bare socket. */
function parsed(answer: string): { status: number; headers: Headers; text: string } {
  const [head = "", ...rest] = answer.split("\r\n\r\n");
  const [line = "", ...fields] = head.split("\r\n");
  const pairs = fields.map((field): [string, string] => {
    const colon = field.indexOf(":");
    return [field.slice(0, colon), field.slice(colon + 1).trim()];
  });
  const text = /\{.*\}/.exec(rest.join(""))?.[0] ?? "";
  return { status: Number(line.split(" ")[1]), headers: new Headers(pairs), text };
}

/** Sends bytes over a bare socket; returns what comes back up to the end of a problem. */
async function overSocket(port: number, bytes: string, leave = false): Promise<string> {
  const socket = net.connect(port, "localhost");
  let answer = "";
  const answered = new Promise<void>((resolve) => {
    socket.on("data", (data) => {
      answer += data;
      if (answer.includes("}\n")) resolve();
    });
    socket.on("close", () => resolve());
    // A connection that the server breaks closes as well.
    socket.on("error", () => resolve());
  });
  socket.write(bytes);
  if (leave) socket.end();
  await answered;
  socket.destroy();
  return answer;
}

const POST = "POST /sync HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";

describe("a request that breaks a rule", () => {
  let driver: CountedDriver;
  let server: Serving;
  beforeEach(async () => {
    driver = new CountedDriver(new MemoryDriver());
    server = await serveHere({ MAX_BODY: String(MAX_BODY) }, driver);
  });
  afterEach(() => server.close());

  async function nothingStored(): Promise<void> {
    assert.deepEqual(await driver.list(""), []);
    assert.equal(driver.requests.put, 0);
  }

  async function refusal(
    status: number,
    type: string,
    content: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = { "Content-Type": "application/json" },
  ): Promise<Problem> {
    const response = await fetch(new URL("/sync", server.url), {
      method: "POST",
      headers,
      // As bytes: for a text, fetch names a content type of its own.
      body: typeof content === "string" ? new TextEncoder().encode(content) : content,
    });
    assert.equal(response.status, status);
    const text = await response.text();
    const problem = problemIn(status, response.headers, text, [user, payload]);
    assert.equal(problem.type, `urn:sync-server:${type}`);
    await nothingStored();
    return problem;
  }

  const json = "application/json";
  const asJson = /JSON in UTF-8, with Content-Type: application\/json/;
  const heads: [string, Record<string, string>, RegExp][] = [
    ["no content type", {}, asJson],
    ["text", { "Content-Type": "text/plain" }, asJson],
    ["a form", { "Content-Type": "application/x-www-form-urlencoded" }, asJson],
    ["another kind of JSON", { "Content-Type": "application/ld+json" }, asJson],
    ["another charset", { "Content-Type": `${json}; charset=latin1` }, asJson],
    ["compression", { "Content-Type": json, "Content-Encoding": "gzip" }, /without Content-Encod/],
  ];
  for (const [what, headers, detail] of heads) {
    it(`is answered with 415 for ${what}`, async () => {
      assert.match((await refusal(415, "unsupported-media-type", body(), headers)).detail, detail);
    });
  }

  const latin1 = Uint8Array.from(Buffer.from(body({ payload: "é" }), "latin1"));
  const notJson: [string, string | Uint8Array<ArrayBuffer>][] = [
    ["is empty", ""],
    ["is blank", " \n"],
    ["is cut off", body().slice(0, -1)],
    ["goes on after its end", `${body()}{}`],
    ["is not UTF-8", latin1],
    ["has a number that JSON has not", body().replace(":0,", ":0x10,")],
  ];
  for (const [what, content] of notJson) {
    it(`is answered with 400 when its body ${what}`, async () => {
      const { detail, errors } = await refusal(400, "invalid-request", content);
      assert.match(detail, /not JSON in UTF-8\. Check quotes, commas and that it is not cut off/);
      assert.equal(errors, undefined);
    });
  }

  const pair = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const privateKey = pair.privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" }).publicKey;
  const ecKey = ec.export({ type: "spki", format: "pem" }).toString();
  const raw = (from: string, to: string) => body().replace(from, to);
  const object = /^must be a JSON object$/;
  const missing = /^is missing$/;
  const needed = /^is missing: a payload needs the operation index/;
  const string = /^must be a string: the user's RSA public key$/;
  const uuid = /^must be a UUID such as [0-9a-f-]{36}$/;
  const uuidKey = /^the key must be a UUID such as [0-9a-f-]{36}$/;
  const index = /^must be a whole number from 0 to 9007199254740991$/;
  const map = /^must be an object of client id to operation index$/;
  const text = /^must be a string that is not empty and has no lone surrogates$/;
  const unknown = /^is not a member of a sync request$/;
  const status = (entries: Record<string, unknown>) => body({ sync_status: entries });

  const faulty: [string, string, ...[pointer: string, detail: RegExp][]][] = [
    ["null", "null", ["#", object]],
    ["a number", "7", ["#", object]],
    ["a string", '"sync"', ["#", object]],
    ["an array", `[${body()}]`, ["#", object]],
    ["an empty object", "{}", ["#/user", missing], ["#/client_id", missing]],
    ["unknown members", body({ a: 1, "b/~": null }), ["#/a", unknown], ["#/b~1~0", unknown]],
    ["a member __proto__", raw("{", '{"__proto__":{},'), ["#/__proto__", unknown]],
    ["a member toString", raw("{", '{"toString":1,'), ["#/toString", unknown]],
    ["a member constructor", raw("{", '{"constructor":1,'), ["#/constructor", unknown]],
    ["no user", body({ user: undefined }), ["#/user", missing]],
    ["a number as user", body({ user: 5 }), ["#/user", string]],
    ["null as user", body({ user: null }), ["#/user", string]],
    ["an empty user", body({ user: "" }), ["#/user", /not PEM, base64 or base64url/]],
    ["garbage as user", body({ user: "it's me" }), ["#/user", /not PEM, base64 or base64url/]],
    ["a private key", body({ user: privateKey }), ["#/user", /private key.*send the public key/]],
    ["a key of 1024 bits", body({ user: newUser(1024).pem }), ["#/user", /2048 to 8192 .* 1024$/]],
    ["an EC key", body({ user: ecKey }), ["#/user", /not an RSA public key/]],
    ["no client id", body({ client_id: undefined }), ["#/client_id", missing]],
    ["a client id that is a name", body({ client_id: "phone" }), ["#/client_id", uuid]],
    ["a number as client id", body({ client_id: 1 }), ["#/client_id", uuid]],
    ["an array as client id", body({ client_id: [client] }), ["#/client_id", uuid]],
    ["index -1", body({ operation_index: -1 }), ["#/operation_index", index]],
    ["index 1.5", body({ operation_index: 1.5 }), ["#/operation_index", index]],
    ['index "1"', body({ operation_index: "1" }), ["#/operation_index", index]],
    ["index 2^53", body({ operation_index: 2 ** 53 }), ["#/operation_index", index]],
    ["index null", body({ operation_index: null }), ["#/operation_index", index]],
    ["index 1e400", raw('index":0', 'index":1e400'), ["#/operation_index", index]],
    ["a payload but no index", body({ operation_index: undefined }), ["#/operation_index", needed]],
    ["an empty payload", body({ payload: "" }), ["#/payload", text]],
    ["a number as payload", body({ payload: 5 }), ["#/payload", text]],
    ["null as payload", body({ payload: null }), ["#/payload", text]],
    ["an object as payload", body({ payload: { payload } }), ["#/payload", text]],
    ["an empty batch", body({ payload: [] }), ["#/payload", /^must not be empty$/]],
    ["an empty payload in a batch", body({ payload: [""] }), ["#/payload/0", text]],
    ["a number in a batch", body({ payload: ["ok", 5] }), ["#/payload/1", text]],
    ["a lone surrogate", body({ payload: "\ud800" }), ["#/payload", text]],
    ["one in a batch", body({ payload: ["ok", "a\udc00b"] }), ["#/payload/1", text]],
    [
      "a batch beyond the last index",
      body({ operation_index: LAST_INDEX, payload: ["a", "b"] }),
      ["#/operation_index", /too high: the last operation's index would be above 900719925474099/],
    ],
    ["an array as status", body({ sync_status: [] }), ["#/sync_status", map]],
    ["null as status", body({ sync_status: null }), ["#/sync_status", map]],
    ["a string as status", body({ sync_status: "none" }), ["#/sync_status", map]],
    ["a status of no client", status({ phone: 1 }), ["#/sync_status/phone", uuidKey]],
    [
      "a status of __proto__ and constructor",
      raw('status":{', 'status":{"__proto__":1,"constructor":1'),
      ["#/sync_status/__proto__", uuidKey],
      ["#/sync_status/constructor", uuidKey],
    ],
    ["a status of -1", status({ [other]: -1 }), [`#/sync_status/${other}`, index]],
    ["a status of 1.5", status({ [other]: 1.5 }), [`#/sync_status/${other}`, index]],
    ['a status of "1"', status({ [other]: "1" }), [`#/sync_status/${other}`, index]],
    ["a status of null", status({ [other]: null }), [`#/sync_status/${other}`, index]],
    [
      "a status that names a client twice",
      status({ [client]: 1, [client.toUpperCase()]: 1 }),
      [`#/sync_status/${client.toUpperCase()}`, /^this client is named twice$/],
    ],
    [
      "several faults, all of which are listed",
      body({ user: 5, client_id: "a", operation_index: -1, sync_status: 0, payload: "", more: 1 }),
      ["#/user", string],
      ["#/client_id", uuid],
      ["#/operation_index", index],
      ["#/sync_status", map],
      ["#/payload", text],
      ["#/more", unknown],
    ],
  ];
  for (const [what, content, ...faults] of faulty) {
    it(`is answered with 400 for ${what}`, async () => {
      const { detail, errors = [] } = await refusal(400, "invalid-request", content);
      assert.deepEqual(
        errors.map(({ pointer }) => pointer),
        faults.map(([pointer]) => pointer),
      );
      for (const [i, [, rule]] of faults.entries()) assert.match(errors[i]?.detail ?? "", rule);
      assert.ok(detail.startsWith(`${errors[0]?.pointer} ${errors[0]?.detail}`), detail);
      assert.match(detail, /Nothing was stored\.$/);
    });
  }

  const tooLarge = body({ payload: "x".repeat(MAX_BODY - body({ payload: "" }).length + 1) });
  const heavy: [string, string][] = [
    ["with its length", `Content-Length: ${tooLarge.length}\r\n\r\n${tooLarge}`],
    [
      "in chunks",
      `Transfer-Encoding: chunked\r\n\r\n${tooLarge.length.toString(16)}\r\n${tooLarge}\r\n0\r\n\r\n`,
    ],
    ["as the beginning of far more", `Content-Length: 1000000000\r\n\r\n${tooLarge}`],
  ];
  for (const [what, rest] of heavy) {
    it(`is answered with 413 for one byte above MAX_BODY, sent ${what}`, async () => {
      const { status, headers, text } = parsed(await overSocket(server.port, POST + rest));
      assert.equal(status, 413);
      const problem = problemIn(status, headers, text, [user, "xxxx"]);
      assert.match(problem.detail, /larger than 8192 bytes\. Send fewer .* MAX_BODY raised\.$/);
      const { limit, setting } = JSON.parse(text);
      assert.deepEqual({ limit, setting }, { limit: MAX_BODY, setting: "MAX_BODY" });
      await nothingStored();
    });
  }

  it("stores nothing when its length is less than its body, which is cut off so", async () => {
    const rest = `Connection: close\r\nContent-Length: 100\r\n\r\n${body()}`;
    // Node answers this one below the handler: what follows the body is no request.
    assert.equal(parsed(await overSocket(server.port, POST + rest)).status, 400);
    await nothingStored();
  });

  it("stores nothing when its length is more than its body and the client leaves", async () => {
    const rest = `Content-Length: ${body().length + 1}\r\n\r\n${body()}`;
    const { status } = parsed(await overSocket(server.port, POST + rest, true));
    // Some runtimes answer nobody who has left.
    assert.ok(status === 400 || Number.isNaN(status), String(status));
    await nothingStored();
  });

  it("is answered with 409 and the next index when operations are missing before it", async () => {
    const content = body({ operation_index: 5 });
    const { detail, ...rest } = await refusal(409, "operation-gap", content);
    assert.deepEqual(rest, {
      type: "urn:sync-server:operation-gap",
      title: "Operation gap",
      status: 409,
      next_index: 0,
    });
    assert.match(detail, /Nothing was stored\. Send on from next_index\.$/);
  });

  it("is no fault of the server, whatever its Host", async () => {
    for (const host of ["[", "a b", "", "localhost:99999"]) {
      const request = `GET /health HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
      const { status } = parsed(await overSocket(server.port, request));
      assert.ok(status === 200 || status === 400, `${status} for Host: ${host}`);
    }
    const { status } = parsed(await overSocket(server.port, "GET /health HTTP/1.0\r\n\r\n"));
    assert.equal(status, 200, "HTTP/1.0 needs no Host");
    assert.ok(!server.log.some((line) => JSON.parse(line).level === "error"));
  });

  const allowed: [path: string, methods: string][] = [
    ["/sync", "POST, OPTIONS"],
    ["/health", "GET, HEAD"],
    ["/ready", "GET, HEAD"],
    ["/metrics", "GET"],
  ];
  for (const [path, methods] of allowed) {
    it(`is answered with 405 when its method is none that ${path} has`, async () => {
      for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
        if (methods.split(", ").includes(method)) continue;
        const response = await fetch(new URL(path, server.url), { method });
        assert.equal(response.status, 405, method);
        assert.equal(response.headers.get("allow"), methods);
        const text = await response.text();
        if (method === "HEAD") continue;
        const problem = problemIn(405, response.headers, text, []);
        assert.equal(problem.type, "urn:sync-server:method-not-allowed");
        assert.equal(problem.detail, `${path} does not answer ${method}, only ${methods}.`);
      }
    });
  }

  it("is answered with 404 when there is nothing at its path", async () => {
    for (const path of ["/", "/nothing", "/syncs", "/sync/more", "/Sync", "/health.json"]) {
      const response = await fetch(new URL(path, server.url), { method: "POST", body: body() });
      assert.equal(response.status, 404);
      const text = await response.text();
      const problem = problemIn(404, response.headers, text, [user, payload]);
      assert.equal(problem.type, "urn:sync-server:not-found");
      assert.match(problem.detail, /There are POST \/sync, GET \/health, /);
    }
    await nothingStored();
  });
});

describe("a request at the edge of the rules", () => {
  let server: Serving;
  before(async () => {
    server = await serveHere({ MAX_BODY: String(MAX_BODY) });
  });
  after(() => server.close());

  /** The status of a request in which each test has a client of its own. */
  async function statusOf(content: string, headers: Record<string, string> = {}) {
    const response = await fetch(new URL("/sync", server.url), {
      method: "POST",
      headers: { "Content-Type": "application/json", ...headers },
      body: content.replaceAll(client, newClient()),
    });
    await response.text();
    return response.status;
  }

  it("is accepted with UUIDs in upper case, which are those in lower case", async () => {
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

describe("a request of a web page", () => {
  const EXPOSED = "Operation-Count, Retry-After, RateLimit, RateLimit-Policy";

  /** The CORS headers of a preflight, of an answer and of a refusal. */
  async function corsHeaders(CORS_ORIGIN: string, origin?: string) {
    const server = await serveHere({ CORS_ORIGIN });
    const headers: Record<string, string> = { "Content-Type": "application/json" };
    if (origin !== undefined) headers.Origin = origin;
    const send = (method: string, path: string) =>
      fetch(new URL(path, server.url), {
        method,
        headers,
        ...(method === "POST" && { body: body() }),
      });
    const answers = [
      await send("OPTIONS", "/sync"),
      await send("POST", "/sync"),
      await send("GET", "/sync"),
      await send("GET", "/nothing"),
    ];
    for (const answer of answers) await answer.text();
    await server.close();
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
    ["no origin", page, undefined, null, "Origin"],
  ];
  for (const [what, setting, origin, allowed, vary] of cases) {
    it(`with ${what} is ${allowed === null ? "not " : ""}let read every answer`, async () => {
      const exposed = allowed === null ? null : EXPOSED;
      assert.deepEqual(
        await corsHeaders(setting, origin),
        [204, 200, 405, 404].map((status) => ({ status, allowed, exposed, vary })),
      );
    });
  }

  it("is let send JSON by the preflight, and not asked about again for a day", async () => {
    const server = await serveHere();
    const { status, headers } = await fetch(new URL("/sync", server.url), {
      method: "OPTIONS",
      headers: { Origin: page, "Access-Control-Request-Method": "POST" },
    });
    await server.close();
    assert.equal(status, 204);
    assert.equal(headers.get("allow"), "POST, OPTIONS");
    assert.equal(headers.get("access-control-allow-methods"), "POST");
    assert.equal(headers.get("access-control-allow-headers"), "Content-Type");
    assert.equal(headers.get("access-control-max-age"), "86400");
  });
});

describe("a request of a user whose tokens are used up", () => {
  it("is answered with 429, says when to come back, and stores nothing", async () => {
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
    // The bytes of the body are some hundredths of a token.
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

  it("is not there when the limit is off, and no header tells of one", async () => {
    const server = await serveHere({ RATE_LIMIT: "0", RATE_BURST: "1" });
    for (let i = 0; i < 5; i++) {
      const { status, headers } = await sync(server.url, { user, client_id: client });
      assert.equal(status, 200);
      assert.equal(headers.get("ratelimit"), null);
      assert.equal(headers.get("ratelimit-policy"), null);
    }
    await server.close();
  });
});

describe("a body that is large and wrong", () => {
  // Work that grows faster than the body takes minutes to days here; this long is ample for any
  // that does not.
  const AMPLE_MS = 20_000;
  const members = Array.from({ length: 300_000 }, (_, i) => `"k${i}":1`).join();
  const bodies: [string, string][] = [
    ["a key of padding", body({ user: `${"=".repeat(3_000_000)}A` })],
    ["unknown members", `{${members}}`],
    ["entries of a sync status", `{"sync_status":{${members}}}`],
    ["empty payloads", `{"payload":[${'"",'.repeat(1_000_000)}""]}`],
    ["an array of numbers", `[${"0,".repeat(1_000_000)}0]`],
    ["arrays within arrays", `{"payload":${"[".repeat(1_000_000)}${"]".repeat(1_000_000)}}`],
  ];
  for (const [what, content] of bodies) {
    it(`is refused without holding up the server when it is ${what}`, async () => {
      const server = await startServer({ STORAGE: "memory:" });
      try {
        const response = await fetch(new URL("/sync", server.url), {
          method: "POST",
          headers: { "Content-Type": "application/json" },
          body: content,
          signal: AbortSignal.timeout(AMPLE_MS),
        });
        assert.equal(response.status, 400);
        const { errors = [] } = problemIn(400, response.headers, await response.text(), [user]);
        assert.ok(errors.length > 0 && errors.length <= 100);
      } finally {
        await server.end("SIGKILL");
      }
    });
  }
});
