/** `/openapi.json` says what the server really answers, and docs/openapi.md what it says. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import { formatFloor, isFingerprint } from "../../oplog/names.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { PROBLEMS } from "../../protocol/problems.ts";
import { openApiPage } from "../../scripts/openapi.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { read } from "../support/documents.ts";
import { HookedDriver } from "../support/drivers.ts";
import { temporaryFolder } from "../support/folder.ts";
import { invitedRequest } from "../support/invites.ts";
import {
  type FullAnswer,
  inProcessServer,
  newSigningUser,
  readAnswer,
  SERVER,
  type SigningUser,
  syncBody,
} from "../support/signing.ts";
import { newClient } from "../support/users.ts";

interface Media {
  readonly schema: unknown;
}
interface Described {
  readonly headers?: Readonly<
    Record<string, { readonly required: boolean; readonly schema: object }>
  >;
  readonly content?: Readonly<Record<string, Media>>;
}
interface Document {
  readonly openapi: string;
  readonly paths: Readonly<
    Record<
      string,
      Readonly<Record<string, { readonly responses: Readonly<Record<string, Described>> }>>
    >
  >;
  readonly components: { readonly schemas: Readonly<Record<string, unknown>> };
}

const { handler } = inProcessServer();
const served = await handler.fetch(new Request("http://sync.example/openapi.json"));
const document: Document = JSON.parse(await served.clone().text());

const ajv = new Ajv2020({ strict: true });
ajv.addKeyword("components");
ajv.addSchema({ $id: "wire", components: document.components });

/** A schema of the document, whose references are to the document. */
function validator(schema: object): ValidateFunction {
  const text = JSON.stringify(schema).replaceAll('"#/', '"wire#/');
  return ajv.compile(JSON.parse(text));
}

const line = validator({ $ref: "#/components/schemas/Line" });

function check(validate: ValidateFunction, value: unknown, what: string): void {
  assert.ok(
    validate(value),
    `${what}: ${JSON.stringify(value)} ${ajv.errorsText(validate.errors)}`,
  );
}

/** Checks an answer against what the document says of it. */
function checkAnswer(
  method: string,
  path: string,
  { status, headers, text }: Pick<FullAnswer, "status" | "headers" | "text">,
): void {
  const what = `${method} ${path} ${status}`;
  const described = document.paths[path]?.[method.toLowerCase()]?.responses[status];
  assert.ok(described, `the document has no ${what}`);
  for (const [name, { required, schema }] of Object.entries(described.headers ?? {})) {
    const value = headers.get(name);
    if (value !== null) check(validator(schema), value, `${name} of ${what}`);
    else assert.ok(!required, `${what} has no ${name}`);
  }
  const known = new Set(Object.keys(described.headers ?? {}).map((name) => name.toLowerCase()));
  for (const name of ["retry-after", "operation-count", "ratelimit", "preference-applied"]) {
    if (headers.has(name) && status !== 429) assert.ok(known.has(name), `${what} has ${name}`);
  }
  const [type = ""] = (headers.get("content-type") ?? "").split(";");
  const media = described.content?.[type];
  if (media === undefined) {
    assert.deepEqual([text, described.content], ["", undefined], what);
  } else if (type === "application/x-ndjson") {
    const lines = text.split("\n").filter((each) => each !== "");
    assert.equal(headers.get("operation-count"), `${lines.length}`);
    for (const each of lines) check(line, JSON.parse(each), what);
  } else {
    const body: unknown = type === "text/plain" ? text : JSON.parse(text);
    assert.ok(typeof media.schema === "object" && media.schema !== null);
    check(validator(media.schema), body, what);
  }
}

describe("GET /openapi.json", () => {
  it("is OpenAPI 3.1, for everybody, and is not kept", () => {
    assert.equal(served.status, 200);
    assert.equal(served.headers.get("content-type"), "application/json");
    assert.match(document.openapi, /^3\.1\./);
  });

  it("describes itself, and the other paths beside /sync", async () => {
    for (const path of ["/health", "/ready", "/metrics", "/openapi.json"]) {
      const response = await handler.fetch(new Request(`http://sync.example${path}`));
      const { status, headers } = response;
      checkAnswer("GET", path, { status, headers, text: await response.text() });
    }
  });

  it("describes them where the server stops, and where storage is away", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    driver.before = () => {
      throw new StorageUnavailable("away");
    };
    const other = inProcessServer({}, driver).handler;
    const ask = async (path: string, method = "GET") => {
      const request = new Request(`http://sync.example${path}`, { method });
      const { status, headers, ...response } = await readAnswer(await other.fetch(request));
      checkAnswer(method, path, { status, headers, text: response.text });
      return status;
    };
    assert.equal(await ask("/ready"), 503);
    await other.stop();
    for (const path of ["/health", "/ready", "/metrics", "/openapi.json"]) {
      assert.equal(await ask(path), 503);
    }
    assert.equal(await ask("/sync", "OPTIONS"), 503);
  });

  it("has the problems of paths and methods that it does not describe", async () => {
    for (const [method, path, name] of [
      ["GET", "/nothing", "NotFound"],
      ["PUT", "/sync", "MethodNotAllowed"],
    ] as const) {
      const request = new Request(`http://sync.example${path}`, { method });
      const problem: unknown = JSON.parse(await (await handler.fetch(request)).text());
      check(validator({ $ref: `#/components/schemas/${name}` }), problem, path);
    }
  });

  it("has a schema for each type of problem, and only schemas that compile", () => {
    const types = Object.values(document.components.schemas).map((schema) =>
      /urn:sync-server:([a-z-]+)/.exec(JSON.stringify(schema)),
    );
    const named = types.flatMap((match) => match?.[1] ?? []).sort();
    assert.deepEqual(named, Object.keys(PROBLEMS).sort());
    for (const name of Object.keys(document.components.schemas)) {
      validator({ $ref: `#/components/schemas/${name}` });
    }
  });

  it("tells an answer from one that it does not describe", () => {
    const headers = new Headers({
      "Content-Type": "application/x-ndjson",
      "Cache-Control": "no-store",
      "Max-Body": "1024",
      "Operation-Count": "1",
      "Request-Id": "0123456789abcdef",
    });
    const right = { client_id: newClient(), operation_index: 0, payload: "x" };
    const answer = (sent: object, status = 200) => ({
      ...{ status, headers, text: `${JSON.stringify(sent)}\n` },
    });
    checkAnswer("POST", "/sync", answer(right));
    for (const wrong of [
      answer({ ...right, more: 1 }),
      answer({ ...right, operation_index: -1 }),
      answer({ ...right, client_id: right.client_id.toUpperCase() }),
      answer(right, 202),
    ]) {
      assert.throws(() => checkAnswer("POST", "/sync", wrong), assert.AssertionError);
    }
    headers.delete("Request-Id");
    assert.throws(() => checkAnswer("POST", "/sync", answer(right)), /has no Request-Id/);
  });
});

describe("an answer of /sync", () => {
  let user: SigningUser;
  before(async () => {
    user = await newSigningUser();
  });
  const client = newClient();
  const append = { client_id: client, operation_index: 0, payload: "zero" };
  const seen = new Set<string>();

  /** Checks an answer, and remembers what problem it is. */
  function checked(answer: FullAnswer, method = "POST"): FullAnswer {
    checkAnswer(method, "/sync", answer);
    if (typeof answer.problem.type === "string") seen.add(answer.problem.type.slice(16));
    return answer;
  }

  it("is as the document says where it is a 200", async () => {
    const { signed, unsigned } = inProcessServer({ RATE_LIMIT: "20" });
    assert.equal(checked(await unsigned(user, append)).status, 200);
    checked(await signed(user, { client_id: newClient() }));
    const snapshot = { covers: { [client]: 0 } };
    const next = { ...append, operation_index: 1, payload: "state", snapshot };
    checked(await signed(user, next));
    const first = checked(await signed(user, { client_id: newClient(), snapshots: true }));
    assert.equal(first.status, 200);
  });

  it("is so where it waits, and where it is a preflight or an erasure", async () => {
    const { send, erase } = inProcessServer({ MAX_WAIT: "1s" });
    const wait = { "Content-Type": "application/json", Prefer: "wait=0" };
    const waited = checked(await send(syncBody(user), wait));
    assert.equal(waited.headers.get("preference-applied"), "wait=0");
    const page = { Origin: "https://app.example", "Access-Control-Request-Method": "POST" };
    const response = await handler.fetch(new Request(SERVER, { method: "OPTIONS", headers: page }));
    checkAnswer("OPTIONS", "/sync", {
      status: response.status,
      headers: response.headers,
      text: "",
    });
    assert.equal(checked(await erase(user), "DELETE").status, 204);
    assert.equal(checked(await erase(user), "DELETE").status, 204);
  });

  it("is so where it is one of nearly all problems", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const server = inProcessServer({ MAX_BODY: "2048", QUOTA_BYTES: "9000" }, driver);
    const { send, signed, unsigned, erase } = server;
    checked(await signed(user, append));
    checked(await unsigned(user, append));
    checked(await send("{", { "Content-Type": "application/json" }));
    checked(await send(syncBody(user, { colour: 1 }), { "Content-Type": "application/json" }));
    checked(await send("{}", { "Content-Type": "text/plain" }));
    checked(await send(`"${"x".repeat(3000)}"`, { "Content-Type": "application/json" }));
    const wrong = { "Content-Type": "application/json", Signature: "sig=:AAAA:" };
    checked(await send(syncBody(user), wrong));
    checked(await signed(user, { ...append, payload: "another" }));
    checked(await signed(user, { ...append, operation_index: 7 }));
    const covers = { [client]: 0, [newClient()]: 5 };
    checked(await signed(user, { ...append, operation_index: 1, snapshot: { covers } }));
    const many = Array.from({ length: 4 }, (_, i) => ({
      ...append,
      client_id: newClient(),
      payload: `${i}`,
    }));
    for (const each of many) checked(await signed(user, each));

    const trimmed = await newSigningUser();
    assert.ok(isFingerprint(trimmed.fingerprint));
    const floor = { user: trimmed.fingerprint, client, index: 4, at: 1_700_000_000 };
    await driver.put(formatFloor(floor), new Uint8Array());
    checked(await signed(trimmed, { ...append, sync_status: { [client]: 4 } }));
    checked(await signed(trimmed, { client_id: newClient() }));

    checked(await erase(user), "DELETE");
    checked(await signed(user, append));
    driver.before = () => {
      throw new StorageUnavailable("away");
    };
    checked(await signed(await newSigningUser(), append));
    driver.before = () => {
      throw new TypeError("a fault");
    };
    checked(await signed(await newSigningUser(), append));
    await server.handler.stop();
    checked(await signed(user, append));
  });

  it("is so where a limit or a list refuses", async () => {
    const limited = inProcessServer({
      RATE_LIMIT: "0.001",
      RATE_BURST: "1",
      NEW_USERS_PER_HOUR: "1",
    });
    for (let i = 0; i < 3; i++) checked(await limited.unsigned(user, append));
    checked(await limited.unsigned(await newSigningUser(), append));
    const folder = temporaryFolder();
    const file = join(folder.path, "users");
    writeFileSync(file, "");
    checked(await inProcessServer({ USERS: file }).unsigned(user, append));
    const { body, headers } = await invitedRequest(user, "an-invite");
    checked(await inProcessServer({ USERS: file }).send(body, headers));
    folder.remove();
    const busy = inProcessServer({ MAX_REQUESTS: "2" });
    const asked = await Promise.all([1, 2, 3].map(() => busy.unsigned(user, append)));
    for (const answer of asked) checked(answer);
  });

  it("is so where an erasure is refused", async () => {
    const { send, erase, handler } = inProcessServer();
    const type = { "Content-Type": "application/json" };
    const one = await newSigningUser();
    const body = JSON.stringify({ user: one.base64 });
    assert.equal(checked(await send(body, type, "DELETE"), "DELETE").status, 401);
    assert.equal(checked(await send("{}", type, "DELETE"), "DELETE").status, 400);
    const text = { "Content-Type": "text/plain" };
    assert.equal(checked(await send(body, text, "DELETE"), "DELETE").status, 415);
    const folder = temporaryFolder();
    const file = join(folder.path, "users");
    writeFileSync(file, "");
    const listed = inProcessServer({ USERS: file });
    assert.equal(checked(await listed.erase(one), "DELETE").status, 403);
    folder.remove();
    await handler.stop();
    assert.equal(checked(await erase(one), "DELETE").status, 503);
  });

  it("is so where its body does not come", async () => {
    const slow = inProcessServer({ CLIENT_TIMEOUT: "300ms" });
    const body = new ReadableStream({ start: (controller) => controller.enqueue(utf8("{")) });
    const headers = { "Content-Type": "application/json" };
    // Without `duplex`, Node takes no stream as a body.
    const init = { method: "POST", headers, body, duplex: "half" } as const;
    const answer = await readAnswer(await slow.handler.fetch(new Request(SERVER, init)));
    assert.equal(checked(answer).status, 408);
  });

  it("has been one of each type but those of other paths and methods", () => {
    const left = Object.keys(PROBLEMS).filter((type) => !seen.has(type));
    assert.deepEqual(left, ["not-found", "method-not-allowed"]);
  });
});

describe("docs/openapi.md", () => {
  it("is what `npm run openapi` renders", () => {
    assert.equal(read("docs/openapi.md"), openApiPage());
  });
});
