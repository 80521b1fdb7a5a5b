/** Every call of a client, while the server answers anything but what the protocol says. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { ServerRejected, ServerUnavailable, type SyncClient } from "../../client/index.ts";
import { startDeadline } from "../support/deadline.ts";
import { type RawServer, serveRaw } from "../support/raw-server.ts";
import { sharedPositions } from "../support/share.ts";
import { JumpingClock, SimulatedServer } from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";
import { createdBy, useApps } from "../support/sync-app.ts";

const OK = "HTTP/1.1 200 OK\r\n";
const LINES = `${OK}Content-Type: application/x-ndjson\r\n`;
const PROBLEM = "Content-Type: application/problem+json\r\n";
const STRANGER = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";
const line = (members: object) => `${JSON.stringify(members)}\n`;
const garbage = line({ client_id: STRANGER, operation_index: 0, payload: "AQID" });
const withLength = (head: string, body: string | Uint8Array) =>
  Buffer.concat([
    Buffer.from(`${head}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`),
    Buffer.from(body),
  ]);
const problem = (status: number, type: string, members: object = {}, headers = "") =>
  withLength(
    `HTTP/1.1 ${status} No\r\n${PROBLEM}${headers}`,
    line({ type: `urn:sync-server:${type}`, ...members }),
  );

const TOO_LARGE = "a limit of nothing";

/** What the server answers to each request, and leaves the connection open. */
type Lies = Readonly<Record<string, string | Uint8Array>>;

/** The `fetch` of each runtime takes them in its own way. */
const OF_HTTP: Lies = {
  nothing: "",
  "bytes that are no HTTP": "\0\xff\r\n\r\n",
  "the head of lines, and falls silent": `${LINES}Operation-Count: 1\r\n\r\n`,
  "a redirect to itself": withLength("HTTP/1.1 307 Moved\r\nLocation: /sync\r\n", ""),
  "no gzip as gzip": withLength(
    `${LINES}Operation-Count: 0\r\nContent-Encoding: gzip\r\n`,
    "plainly",
  ),
};

/** A third on each runtime: what the client makes of them is the same. `endless-answers` has a bomb for each. */
const OF_WORDS: Lies = {
  "a page": withLength(`${OK}Content-Type: text/html\r\n`, "<h1>Log in</h1>"),
  "a page as lines": withLength(`${LINES}Operation-Count: 0\r\n`, "<h1>Log in</h1>\n"),
  "a count without lines": withLength(`${LINES}Operation-Count: 999999999999999\r\n`, ""),
  "a count of 400 digits": withLength(`${LINES}Operation-Count: ${"9".repeat(400)}\r\n`, ""),
  "bytes that are not UTF-8": withLength(
    `${LINES}Operation-Count: 1\r\n`,
    Uint8Array.of(0xff, 0xfe, 0x0a),
  ),
  "deep JSON": withLength(`${LINES}Operation-Count: 1\r\n`, `${"[".repeat(100_000)}\n`),
  "a line with other types": withLength(
    `${LINES}Operation-Count: 1\r\n`,
    line({ client_id: 1, operation_index: "0", payload: null }),
  ),
  "a gzip bomb": withLength(
    `${LINES}Operation-Count: 1\r\nContent-Encoding: gzip\r\n`,
    gzipSync(new Uint8Array(80 * 1024 * 1024), { level: 1 }),
  ),
  "a conflict without members": problem(409, "operation-conflict"),
  "a conflict of nonsense": problem(409, "operation-conflict", { operation_index: -1 }),
  "a conflict about what was acknowledged": problem(409, "operation-conflict", {
    operation_index: 0,
  }),
  "a conflict about an append": problem(409, "operation-conflict", { operation_index: 1 }),
  "a gap of nonsense": problem(409, "operation-gap", { next_index: 2 ** 53 }),
  "a gap about everything": problem(409, "operation-gap", { next_index: 0 }),
  [TOO_LARGE]: problem(413, "body-too-large", { limit: 0, setting: {} }),
  "a quota of nonsense": problem(507, "quota-exceeded", { quota: "x", used: [] }),
  "a slow body": problem(408, "request-timeout"),
  "a wait of an age": problem(429, "rate-limited", {}, `Retry-After: ${"9".repeat(300)}\r\n`),
  "another time": problem(
    401,
    "signature-invalid",
    { check: "clock", authority: {}, path: [] },
    "Date: Fri, 31 Dec 9999 23:59:59 GMT\r\n",
  ),
  "a problem that is a list": withLength(`HTTP/1.1 403 No\r\n${PROBLEM}`, "[[[]]]"),
  "a problem that is cut": withLength(`HTTP/1.1 403 No\r\n${PROBLEM}`, '{"type'),
  "a problem of megabytes": withLength(
    `HTTP/1.1 403 No\r\n${PROBLEM}`,
    line({ detail: "x".repeat(4_000_000) }),
  ),
  "lines that nobody signed": withLength(`${LINES}Operation-Count: 1\r\n`, garbage),
};

const words = Object.entries(OF_WORDS);
const shared = [...sharedPositions(words.length)].flatMap((at) => words.slice(at, at + 1));

const apps = useApps();
const servers: RawServer[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

describe("a client, while its server answers", () => {
  for (const [what, lie] of [...Object.entries(OF_HTTP), ...shared]) {
    it(`T-54 ${what}: keeps what it has, says so, closes, and goes on once the server is honest`, async () => {
      let answers = 0;
      const raw = await serveRaw((socket) => {
        answers++;
        socket.write(lie);
      });
      servers.push(raw);
      const honest = new SimulatedServer();
      let isHonest = true;
      const clock = new JumpingClock();
      const app = await apps.open(
        async (request, { signal }) => {
          if (isHonest) return honest.fetch(request);
          const { method, headers } = request;
          const body = await request.text();
          return fetch(raw.url, { method, headers, body, signal, redirect: request.redirect });
        },
        // Each wait of a client ends at once, so it asks the server again and again.
        { clock },
      );
      const { client } = app;
      const { lost, end } = startDeadline(() => `the calls of a client end: ${what}`);
      try {
        await client.append("zero");
        await Promise.race([lost, client.sync()]);
        isHonest = false;
        await Promise.race([lost, exercise(client, () => answers)]);
        assert.ok(client.status.state !== "synced" || client.status.pending === 0);
        assert.deepEqual(app.received, [], "something wrong was delivered");
        // An operation that is too large for the server is tried again in an hour.
        const isTooLarge = what === TOO_LARGE;
        if (!isTooLarge) {
          assert.deepEqual(app.changes, [], "it took a new client id on the server's word");
        }

        isHonest = true;
        await raw.close();
        const synced = client.sync().catch((error: unknown) => {
          if (!isTooLarge) throw error;
        });
        await Promise.race([lost, synced]);
        // Whatever it has acknowledged, the client asks again in an hour whether the server has it.
        await clock.sleep(3600_000, new AbortController().signal);
        await Promise.race([lost, client.sync()]);
        const reader = await apps.open((request) => honest.fetch(request));
        await Promise.race([lost, reader.client.sync()]);
        assert.deepEqual(reader.received.toSorted(), ["one", "three", "two", "zero"]);
        await Promise.race([lost, client.close()]);
      } finally {
        end();
      }
    });
  }
});

/** Calls everything that a client has but `close`. */
async function exercise(client: SyncClient, answers: () => number): Promise<void> {
  await client.append("one");
  await client.appendAll(["two", "three"]);
  const stop = new AbortController();
  const synced = client.sync(stop.signal).catch((error: unknown) => error);
  await until(() => answers() > 0);
  assert.deepEqual(await createdBy(client), ["zero", "one", "two", "three"]);
  assert.ok(client.refusals.length <= 1);
  assert.ok(client.status.pending <= 4);
  stop.abort();
  await synced;
  const erased = await client.erase(AbortSignal.timeout(1000)).catch((error: unknown) => error);
  assert.ok(
    erased instanceof ServerRejected ||
      erased instanceof ServerUnavailable ||
      erased instanceof DOMException,
    String(erased),
  );
}
