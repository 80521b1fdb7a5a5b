/** The code of each error that a request can end in. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type ErrorCode,
  errorCodeOf,
  ServerRejected,
  ServerUnavailable,
} from "../../client/errors.ts";
import { reasonOf } from "../../client/reason.ts";
import { Transport } from "../../client/transport.ts";
import type { StatusCode } from "../../client/types.ts";
import { PROBLEM_URN } from "../../protocol/problems.ts";
import { answer, type Fetch, problem, RecordingClock, useApps } from "../support/sync-app.ts";

const apps = useApps();

describe("the code of an answer", () => {
  const cases: readonly [string, number, unknown, ErrorCode][] = [
    ["is the problem type", 409, "operation-gap", "operation-gap"],
    [
      "is the problem type where several have the status",
      429,
      "new-users-limited",
      "new-users-limited",
    ],
    ["follows from a status with one meaning: 408", 408, undefined, "request-timeout"],
    ["follows from a status with one meaning: 413", 413, undefined, "body-too-large"],
    ["follows from a status with one meaning: 429", 429, undefined, "rate-limited"],
    ["follows from a status with one meaning: 507", 507, undefined, "quota-exceeded"],
    ["does not take a 410 of a proxy for the erasure of the user", 410, undefined, "http-error"],
    ["ignores a type whose status is another one", 413, "operation-conflict", "body-too-large"],
    ["ignores a type that the protocol does not have", 409, "teapot", "http-error"],
    ["ignores a type that is not a text", 404, 7, "http-error"],
  ];
  for (const [name, status, type, code] of cases) {
    it(name, () => {
      const document = typeof type === "string" ? { type: PROBLEM_URN + type } : { type };
      assert.equal(errorCodeOf(status, document), code);
    });
  }
});

describe("the reason in a status", () => {
  const cases: readonly [Error, StatusCode][] = [
    [new ServerUnavailable("No connection."), "offline"],
    [new ServerUnavailable("A proxy.", "http-error"), "offline"],
    [new ServerUnavailable("Later.", "storage-unavailable"), "busy"],
    [new ServerUnavailable("Slower.", "new-users-limited"), "rate"],
    [rejected(403, "user-not-allowed"), "not-allowed"],
    [rejected(401, "signature-invalid"), "signature"],
    [rejected(410, "user-erased"), "erased"],
    [rejected(409, "operation-conflict"), "place-taken"],
    [rejected(507, "quota-exceeded"), "quota"],
    [rejected(400, "invalid-request"), "server"],
    [new RangeError("no room on the disk"), "device"],
  ];
  for (const [error, code] of cases) {
    it(`is ${code} for ${"code" in error ? error.code : error.message}`, () => {
      assert.deepEqual(reasonOf(error), { code, why: error.message });
    });
  }
});

function rejected(status: number, type: string): ServerRejected {
  return new ServerRejected(status, { type: PROBLEM_URN + type, detail: "So it is." });
}

describe("a request", () => {
  const broken: readonly [string, Fetch, ErrorCode][] = [
    ["without a connection", () => Promise.reject(new TypeError("fetch failed")), "unreachable"],
    ["to a proxy", async () => new Response("<h1>Log in</h1>"), "invalid-response"],
    ["whose answer is cut", async () => answer([], 1), "incomplete-response"],
    ["to a busy server", async () => problem(503, "overloaded"), "overloaded"],
    ["to a broken proxy", async () => new Response(null, { status: 502 }), "http-error"],
    ["to a silent server", (request) => untilAborted(request.signal), "idle-timeout"],
  ];
  for (const [what, fetch, code] of broken) {
    it(`${what} fails with ${code}`, async () => {
      // The silent server alone is waited for: the clock ends each finite wait at once.
      const idleTimeout = code === "idle-timeout" ? 1000 : Number.POSITIVE_INFINITY;
      await assert.rejects(
        send(fetch, idleTimeout),
        (error) => error instanceof ServerUnavailable && error.code === code,
      );
    });
  }

  it("that is refused fails with the members of the problem", async () => {
    const refuse: Fetch = async () => problem(409, "operation-gap", { next_index: 3 });
    await assert.rejects(send(refuse, Number.POSITIVE_INFINITY), (error) => {
      assert.ok(error instanceof ServerRejected);
      assert.equal(error.status, 409);
      assert.equal(error.code, "operation-gap");
      assert.equal(error.members.next_index, 3);
      assert.equal(error.message, "the server says: So it is.");
      return true;
    });
  });

  async function send(fetch: Fetch, idleTimeout: number): Promise<void> {
    const transport = new Transport({
      url: "http://sync.test",
      identity: apps.identity,
      clock: new RecordingClock(),
      fetch,
      sign: false,
      idleTimeout,
    });
    const request = { client: crypto.randomUUID(), first: undefined, payloads: [], status: {} };
    for await (const lines of transport.sync(request, new AbortController().signal)) {
      assert.deepEqual(lines, []);
    }
  }
});

describe("an address", () => {
  const never: Fetch = () => Promise.reject(new Error("no request is sent"));
  for (const url of ["localhost:8080", "192.168.0.2", "ftp://localhost", "https://", ""]) {
    it(`that is no http url is refused when a client is opened, with an example: "${url}"`, async () => {
      await assert.rejects(apps.open(never, { url }), {
        name: "TypeError",
        message: `use a url such as https://sync.example, not ${url}`,
      });
    });
  }

  it("in capital letters, with a path or as a URL is accepted", async () => {
    const addresses = new Set<string>();
    const fetch: Fetch = async ({ url }) => {
      addresses.add(url);
      return answer([]);
    };
    for (const url of ["HTTP://SYNC.test", new URL("https://sync.test/notes")]) {
      const { client } = await apps.open(fetch, { url });
      await client.sync();
    }
    assert.deepEqual([...addresses], ["http://sync.test/sync", "https://sync.test/notes/sync"]);
  });
});

function untilAborted(signal: AbortSignal): Promise<Response> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason));
  });
}
