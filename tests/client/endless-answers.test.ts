/** Answers that do not end, that drip, or that grow when they are decoded. */
import assert from "node:assert/strict";
import { afterEach, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { type Clock, ServerUnavailable } from "../../client/index.ts";
import { Transport } from "../../client/transport.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { formatLine } from "../../protocol/ndjson.ts";
import type { Line } from "../../protocol/types.ts";
import { type RawServer, serveRaw } from "../support/raw-server.ts";
import { type Fetch, NEVER, useApps } from "../support/sync-app.ts";
import { VirtualClock } from "../support/virtual-clock.ts";

const MIB = 1024 * 1024;
const LINES = { "Content-Type": "application/x-ndjson", "Operation-Count": "9" };
const PROBLEM = { "Content-Type": "application/problem+json" };
const CLIENT = "5f0c1a52-7f7e-4d35-a9a5-0d8b8c1d8b11";

const apps = useApps();

/** The lines of an answer up to the error that ends it. */
async function linesOf(
  fetch: Fetch,
  clock: Clock = new VirtualClock(),
  idleTimeout = NEVER,
): Promise<{ readonly lines: Line[]; readonly error: ServerUnavailable | undefined }> {
  const { identity } = apps;
  const options = { url: "http://sync.test", identity, clock, fetch, sign: false, idleTimeout };
  const request = { client: CLIENT, first: undefined, payloads: [], status: {} };
  const lines: Line[] = [];
  try {
    const answers = new Transport(options).sync(request, new AbortController().signal);
    for await (const some of answers) lines.push(...some);
  } catch (error) {
    assert.ok(error instanceof ServerUnavailable, String(error));
    return { lines, error };
  }
  return { lines, error: undefined };
}

/** A body that never ends, and how many bytes were taken of it. */
function endless(chunk: Uint8Array) {
  const taken = { bytes: 0, isCancelled: false };
  const body = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => {
        taken.bytes += chunk.length;
        controller.enqueue(chunk);
      },
      cancel: () => {
        taken.isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  return { body, taken };
}

describe("an answer without end", () => {
  for (const [type, most] of [
    ["application/problem+json", 0.5 * MIB],
    ["Application/Problem+JSON; charset=utf-8", 0.5 * MIB],
    ["text/html", 0],
  ] as const) {
    it(`T-54 of type ${type} is read up to ${most} bytes, and cancelled`, async () => {
      const { body, taken } = endless(new Uint8Array(65536).fill(0x20));
      const headers = { "Content-Type": type };
      const { error } = await linesOf(async () => new Response(body, { status: 503, headers }));
      assert.equal(error?.code, most === 0 ? "http-error" : "invalid-response");
      assert.ok(taken.bytes <= most, `${taken.bytes} bytes`);
      assert.ok(taken.isCancelled);
    });
  }

  it("to a request to erase is not read", async () => {
    const { body, taken } = endless(new Uint8Array(65536).fill(0x20));
    const app = await apps.open(async ({ method }) =>
      method === "DELETE" ? new Response(body) : Promise.reject(new TypeError("no connection")),
    );
    await assert.rejects(app.client.erase(), ServerUnavailable);
    assert.ok(taken.bytes <= 0.5 * MIB, `${taken.bytes} bytes`);
    assert.ok(taken.isCancelled);
  });

  it("that has no line feed is given up", async () => {
    const { body, taken } = endless(new Uint8Array(MIB).fill(0x20));
    const { error } = await linesOf(async () => new Response(body, { headers: LINES }));
    assert.equal(error?.code, "invalid-response");
    assert.ok(taken.bytes <= 66 * MIB, `${taken.bytes} bytes`);
    assert.ok(taken.isCancelled);
  });

  it("is not announced by an Operation-Count of any length", async () => {
    for (const count of ["9".repeat(16), "9".repeat(400), "1e3", "-1", "0x1", "+1", "1, 1", ""]) {
      const { body, taken } = endless(utf8("{}\n"));
      const headers = { ...LINES, "Operation-Count": count };
      const { error } = await linesOf(async () => new Response(body, { headers }));
      assert.equal(error?.code, "invalid-response", count);
      assert.equal(taken.bytes, 0);
    }
  });
});

describe("an answer that drips", () => {
  /** A body of the same chunk again and again, with a pause before each. */
  function dripping(clock: Clock, chunk: Uint8Array, times: number, pause: number) {
    let left = times;
    return new ReadableStream<Uint8Array>(
      {
        pull: async (controller) => {
          await clock.sleep(pause, new AbortController().signal);
          if (left-- > 0) controller.enqueue(chunk);
          else controller.close();
        },
      },
      { highWaterMark: 0 },
    );
  }

  it("is given up, and its whole lines are kept", async () => {
    const clock = new VirtualClock();
    const start = clock.now();
    const line = utf8(formatLine(CLIENT, 0, "zero"));
    const { lines, error } = await linesOf(
      async () => new Response(dripping(clock, line, 1000, 30_000), { headers: LINES }),
      clock,
      60_000,
    );
    assert.equal(error?.code, "idle-timeout");
    assert.ok(lines.length >= 1 && lines.length <= 3, `${lines.length} lines`);
    assert.ok(clock.now() - start <= 61_000);
  });

  it("within a problem document is given up", async () => {
    const clock = new VirtualClock();
    const start = clock.now();
    const body = dripping(clock, utf8(" "), 1000, 30_000);
    const { error } = await linesOf(
      async () => new Response(body, { status: 403, headers: PROBLEM }),
      clock,
      60_000,
    );
    assert.equal(error?.code, "idle-timeout");
    assert.ok(clock.now() - start <= 61_000);
  });

  it("as slowly as a request may is read to its end", async () => {
    const clock = new VirtualClock();
    const line = utf8(formatLine(CLIENT, 0, "x".repeat(4096)));
    const { lines, error } = await linesOf(
      async () =>
        new Response(dripping(clock, line, 900, 1000), {
          headers: { ...LINES, "Operation-Count": "900" },
        }),
      clock,
      60_000,
    );
    assert.equal(error, undefined);
    assert.equal(lines.length, 900);
  });

  it("is given up when it falls silent, however fast it was", async () => {
    const clock = new VirtualClock();
    const start = clock.now();
    const fast = utf8(formatLine(CLIENT, 0, "x".repeat(8 * MIB)));
    let sent = false;
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        if (sent) return new Promise<void>(() => undefined);
        sent = true;
        return controller.enqueue(fast);
      },
    });
    const { lines, error } = await linesOf(
      async () => new Response(body, { headers: LINES }),
      clock,
      60_000,
    );
    assert.equal(lines.length, 1);
    assert.equal(error?.code, "idle-timeout");
    assert.ok(clock.now() - start <= 61_000);
  });
});

describe("an answer that grows when it is decoded", () => {
  const servers: RawServer[] = [];
  let bomb: Buffer;
  before(() => {
    bomb = gzipSync(new Uint8Array(100 * MIB).fill(0x20), { level: 9 });
  });
  afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

  for (const [what, head] of [
    ["a line", "HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nOperation-Count: 1\r\n"],
    ["a problem", "HTTP/1.1 403 Forbidden\r\nContent-Type: application/problem+json\r\n"],
  ] as const) {
    it(`from 100 KiB to 100 MiB of ${what} is given up`, async () => {
      const server = await serveRaw((socket) => {
        socket.write(`${head}Content-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`);
        socket.write(bomb);
      });
      servers.push(server);
      const { error } = await linesOf((request) =>
        fetch(new Request(server.url, { method: "POST", signal: request.signal })),
      );
      assert.equal(error?.code, "invalid-response");
    });
  }
});
