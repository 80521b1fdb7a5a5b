import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { InstrumentedDriver } from "../../storage/instrumented.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { type ServerProcess, startServer } from "../support/process.ts";
import {
  body,
  client,
  LAST_INDEX,
  MAX_BODY,
  other,
  overSocket,
  POST,
  type Problem,
  parsed,
  payload,
  problemIn,
  user,
} from "../support/requests.ts";
import { newUser } from "../support/users.ts";

describe("a request that breaks a rule", () => {
  let driver: InstrumentedDriver;
  let server: Serving;
  before(async () => {
    driver = new InstrumentedDriver(new MemoryDriver());
    server = await serveHere({ MAX_BODY: String(MAX_BODY) }, driver);
  });
  after(() => server.close());

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
      // As bytes: for a string, fetch sets a content type.
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
  const tooHigh = /^is too high: the last operation's index would be above 9007199254740991$/;
  const unknown = /^is not a member of a sync request$/;
  const twice = /^must not have a member twice in one object$/;
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
    [
      "a private key (T-18)",
      body({ user: privateKey }),
      ["#/user", /private key.*send the public key/],
    ],
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
    [
      "an index that is rounded to 1",
      raw('index":0', 'index":1.0000000000000001'),
      ["#", /^must have whole numbers, and 1\.0000000000000001 is not one$/],
    ],
    [
      "an index in the sync status that is rounded to 0",
      raw('"sync_status":{}', `"sync_status":{"${client}":1e-400}`),
      ["#", /^must have whole numbers, and 1e-400 is not one$/],
    ],
    ["a member twice", raw("{", '{"payload":"other",'), ["#", twice]],
    ["a member twice in two spellings", raw("{", '{"p\\u0061yload":"other",'), ["#", twice]],
    [
      "a client twice in its sync status",
      raw('"sync_status":{}', `"sync_status":{"${client}":0,"${client}":1}`),
      ["#", twice],
    ],
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
      "a batch of which one is beyond the last index",
      body({ operation_index: LAST_INDEX, payload: ["a", "b"] }),
      ["#/operation_index", tooHigh],
    ],
    [
      "a batch of which two are",
      body({ operation_index: LAST_INDEX, payload: ["a", "b", "c"] }),
      ["#/operation_index", tooHigh],
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
    it(`T-40 is answered with 413 for one byte above MAX_BODY, sent ${what}`, async () => {
      const { status, headers, text } = parsed(await overSocket(server.port, POST + rest));
      assert.equal(status, 413);
      const problem = problemIn(status, headers, text, [user, "xxxx"]);
      assert.match(problem.detail, /larger than 8192 bytes\. Send fewer .* MAX_BODY raised\.$/);
      const { limit, setting } = JSON.parse(text);
      assert.deepEqual({ limit, setting }, { limit: MAX_BODY, setting: "MAX_BODY" });
      await nothingStored();
    });
  }

  it("stores nothing when its Content-Length is less than its body", async () => {
    const rest = `Connection: close\r\nContent-Length: 100\r\n\r\n${body()}`;
    // Node answers this below the handler: what follows the body is not a request.
    assert.equal(parsed(await overSocket(server.port, POST + rest)).status, 400);
    await nothingStored();
  });

  it("stores nothing when its Content-Length is more than its body and the client disconnects", async () => {
    const rest = `Content-Length: ${body().length + 1}\r\n\r\n${body()}`;
    const { status } = parsed(await overSocket(server.port, POST + rest, true));
    // Some runtimes do not answer a client that has disconnected.
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
    assert.match(detail, /Nothing was stored\. Continue from next_index\.$/);
  });

  it("is not answered with a 5xx for any Host", async () => {
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
    ["/sync", "POST, DELETE, OPTIONS"],
    ["/health", "GET, HEAD"],
    ["/ready", "GET, HEAD"],
    ["/metrics", "GET"],
  ];
  for (const [path, methods] of allowed) {
    it(`is answered with 405 for any other method of ${path}`, async () => {
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
    for (const path of ["/nothing", "/page", "/syncs", "/sync/more", "/Sync", "/health.json"]) {
      const url = new URL(`${path}?user=secret`, server.url);
      const response = await fetch(url, { method: "POST", body: body() });
      assert.equal(response.status, 404);
      const text = await response.text();
      const { type, detail } = problemIn(404, response.headers, text, [user, payload]);
      assert.equal(type, "urn:sync-server:not-found");
      assert.ok(
        detail.startsWith(`There is nothing at ${path}. There are POST and DELETE /sync, `),
        detail,
      );
    }
    await nothingStored();
  });
});

describe("a large invalid body", () => {
  // Work that grows faster than the body would take minutes to days here.
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
  let server: ServerProcess;
  before(async () => {
    server = await startServer({ STORAGE: "memory:" });
  });
  after(() => server.end("SIGKILL"));
  for (const [what, content] of bodies) {
    it(`is refused without blocking the server when it is ${what}`, async () => {
      const response = await fetch(new URL("/sync", server.url), {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: content,
        signal: AbortSignal.timeout(AMPLE_MS),
      });
      assert.equal(response.status, 400);
      const { errors = [] } = problemIn(400, response.headers, await response.text(), [user]);
      assert.ok(errors.length > 0 && errors.length <= 100);
    });
  }
});
