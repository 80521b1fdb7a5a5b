/** A client that waits for news, at a real server and at servers that end its waits. */
import assert from "node:assert/strict";
import { after, afterEach, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../client/clock.ts";
import type { Clock, Fetch } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { Outbox } from "../../client/outbox.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { LINES_TYPE, OPERATION_COUNT, PREFERENCE_APPLIED } from "../../protocol/limits.ts";
import { formatLine } from "../../protocol/ndjson.ts";
import { temporaryFolder } from "../support/folder.ts";
import { type Serving, serveHere } from "../support/http.ts";
import { startServer } from "../support/process.ts";
import { until } from "../support/socket.ts";
import { useApps } from "../support/sync-app.ts";

/** Longer than any test: what arrives sooner was not polled. */
const HOUR = 3600_000;

/** The time of the system, on which no finite wait takes long. It records how long it was asked to wait. */
class HurriedClock implements Clock {
  readonly waits: number[] = [];

  now(): number {
    return systemClock.now();
  }

  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (milliseconds === Infinity) return systemClock.sleep(milliseconds, signal);
    this.waits.push(milliseconds);
    return systemClock.sleep(Math.min(milliseconds, 50), signal);
  }
}

const apps = useApps();
const servers: Serving[] = [];
afterEach(() => Promise.all(servers.splice(0).map((server) => server.close())));

async function serve(settings: Readonly<Record<string, string>> = {}): Promise<Serving> {
  const server = await serveHere(settings);
  servers.push(server);
  return server;
}

/**
 * Sends requests to the server whose address a function returns, and notes how long each waits, and
 * which have no answer.
 */
function fetchFrom(address: () => string): { fetch: Fetch; waits: string[]; aborted: string[] } {
  const waits: string[] = [];
  const aborted: string[] = [];
  return {
    waits,
    aborted,
    fetch: async (request, { signal }) => {
      const { method, headers } = request;
      const wait = headers.get("prefer") ?? "";
      waits.push(wait);
      const body = await request.text();
      try {
        return await fetch(new URL("/sync", address()), { method, headers, body, signal });
      } catch (error) {
        if (signal.aborted) aborted.push(wait);
        throw error;
      }
    },
  };
}

/** A function that answers requests that wait, and passes the others on. */
function answeringWaits(
  server: Serving,
  answer: (signal: AbortSignal, number: number) => Response | Promise<Response>,
): Fetch {
  const { fetch } = fetchFrom(() => server.url);
  let number = 0;
  return async (request, init) => {
    if (request.headers.get("prefer") === "wait=0") return fetch(request, init);
    return answer(init.signal, number++);
  };
}

/** An empty answer that says for how long the server would have waited. */
function noNews(seconds: number): Response {
  const headers = {
    "Content-Type": LINES_TYPE,
    [OPERATION_COUNT]: "0",
    [PREFERENCE_APPLIED]: `wait=${seconds}`,
  };
  return new Response("", { headers });
}

describe("a client at a server that waits for news", () => {
  it("receives what another device appends without polling, and says that it is live", async () => {
    const { url } = await serve();
    const real = { clock: systemClock, pollInterval: HOUR };
    const reader = await apps.open(fetchFrom(() => url).fetch, real);
    const writer = await apps.open(fetchFrom(() => url).fetch, real);
    await until(() => reader.client.status.live);
    await writer.client.append("one");
    await until(() => reader.received.length === 1);
    await writer.client.appendAll(["two", "three"]);
    await until(() => reader.received.length === 3);
    assert.deepEqual(reader.received, ["one", "two", "three"]);
    await until(() => reader.client.status.state === "synced");
    assert.deepEqual(reader.client.status, {
      state: "synced",
      pending: 0,
      refused: 0,
      live: true,
    });
  });

  it("ends the wait to send what is appended, or when sync is called, and waits again", async () => {
    const { url } = await serve();
    const { fetch, waits, aborted } = fetchFrom(() => url);
    const options = { clock: systemClock, pollInterval: HOUR, random: () => 0.99 };
    const { client, statuses } = await apps.open(fetch, options);
    await until(() => waits.length === 2);
    await client.append("one");
    await until(() => waits.length === 4);
    await client.sync();
    await until(() => waits.length === 6);
    assert.deepEqual(waits, ["wait=0", "wait=29", "wait=0", "wait=29", "wait=0", "wait=29"]);
    assert.deepEqual(aborted, ["wait=29", "wait=29"]);
    assert.equal(client.status.pending, 0);
    assert.ok(statuses.every(({ live }) => live));
  });

  it("asks to wait at each poll of a server that does not, and goes on live once it does", async () => {
    const silent = await serve({ MAX_WAIT: "0" });
    const waiting = await serve();
    let current = silent;
    const clock = new HurriedClock();
    const { fetch, waits } = fetchFrom(() => current.url);
    const { client, statuses } = await apps.open(fetch, { clock, pollInterval: 30_000 });
    await until(() => waits.length > 3);
    assert.equal(client.status.live, false);
    assert.ok(waits.slice(1).every((wait) => /^wait=2\d$/.test(wait)));
    assert.ok(clock.waits.every((wait) => wait === 30_000));
    current = waiting;
    const writer = await apps.open(fetchFrom(() => waiting.url).fetch);
    await writer.client.append("one");
    await until(() => client.status.live);
    assert.ok(statuses.every(({ state }) => state !== "offline"));
  });

  it("is not live where the server has no place for it", async () => {
    const { url } = await serve({ MAX_WAITING: "2" });
    const options = { clock: systemClock, pollInterval: HOUR };
    const first = await apps.open(fetchFrom(() => url).fetch, options);
    await until(() => first.client.status.live);
    const { fetch, waits } = fetchFrom(() => url);
    const second = await apps.open(fetch, options);
    await until(() => waits.length === 2 && !second.client.status.live);
    assert.equal(second.client.status.state, "synced");
  });

  for (const MAX_WAIT of ["55s", "0"]) {
    it(`ends no request that sends something, with MAX_WAIT=${MAX_WAIT}`, async () => {
      const { url } = await serve({ MAX_WAIT });
      const { fetch, waits, aborted } = fetchFrom(() => url);
      const slowly: Fetch = async (...of) => {
        await sleep(10);
        return fetch(...of);
      };
      const { client } = await apps.open(slowly, { clock: systemClock, pollInterval: HOUR });
      await client.sync();
      for (let i = 0; i < 40; i++) await client.append(`operation ${i}`);
      await until(() => client.status.pending === 0);
      assert.ok(waits.length > 2);
      assert.deepEqual(
        aborted.filter((wait) => wait === "wait=0"),
        [],
      );
    });
  }

  it("never asks to wait where it asks nothing by itself", async () => {
    const { url } = await serve();
    const { fetch, waits } = fetchFrom(() => url);
    const { client } = await apps.open(fetch);
    await client.append("one");
    await client.sync();
    assert.ok(waits.length > 0);
    assert.deepEqual(new Set(waits), new Set(["wait=0"]));
    assert.equal(client.status.live, false);
  });
});

describe("an append during a wait whose answer has begun", () => {
  it("does not end it: what it brings is delivered, and the append is sent after it", async () => {
    const server = await serve();
    const store = new MemoryStore();
    const outbox = await Outbox.open(store, apps.identity, await store.load());
    for (const text of ["one", "two"]) {
      await outbox.append([utf8(text)], 1000);
      await outbox.sealWaiting();
    }
    const client = outbox.client;
    const [one = "", two = ""] = (await store.read(client, 0, 2, Infinity)).map((payload, index) =>
      formatLine(client, index, payload),
    );
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    let isAborted = false;
    const fetch = answeringWaits(server, (signal, number) => {
      if (number > 0) return new Promise(() => undefined);
      signal.addEventListener("abort", () => {
        isAborted = controller !== undefined;
      });
      const body = new ReadableStream<Uint8Array>({
        start: (given) => {
          controller = given;
          given.enqueue(utf8(one));
        },
      });
      const headers = {
        "Content-Type": LINES_TYPE,
        [OPERATION_COUNT]: "2",
        [PREFERENCE_APPLIED]: "wait=25",
      };
      return new Response(body, { headers });
    });
    const lines: number[] = [];
    const app = await apps.open(fetch, {
      clock: systemClock,
      pollInterval: HOUR,
      onLines: (some) => lines.push(...some.map(({ index }) => index)),
    });
    await until(() => lines.length === 1);
    await app.client.append("mine");
    assert.equal(app.client.status.pending, 1);
    assert.equal(isAborted, false);
    const open = controller;
    controller = undefined;
    open?.enqueue(utf8(two));
    open?.close();
    await until(() => app.client.status.pending === 0);
    assert.deepEqual(app.received, ["one", "two"]);
    assert.deepEqual(lines, [0, 1], "nothing was asked for twice");
  });
});

describe("a client whose wait is ended by the server", () => {
  it("comes back within a minute when the server stops, and is live again after that", async () => {
    let current = await serve();
    const clock = new HurriedClock();
    const { fetch, waits } = fetchFrom(() => current.url);
    const options = { clock, pollInterval: HOUR, random: () => 0.25 };
    const { client, statuses, received } = await apps.open(fetch, options);
    await until(() => waits.length === 2);
    assert.deepEqual(clock.waits, []);
    await current.close();
    await until(() => clock.waits.length > 0);
    assert.equal(clock.waits[0], 15_000, "a quarter of a minute");
    assert.ok(statuses.some(({ state, live }) => state === "synced" && !live));
    current = await serve();
    await until(() => client.status.live);
    const writer = await apps.open(fetchFrom(() => current.url).fetch);
    await writer.client.append("afterwards");
    await until(() => received.length === 1);
  });

  it("asks again at once when the wait has lasted as long as it may", async () => {
    const { url } = await serve({ MAX_WAIT: "1s" });
    const clock = new HurriedClock();
    const { fetch, waits } = fetchFrom(() => url);
    const { client } = await apps.open(fetch, { clock, pollInterval: HOUR });
    await until(() => waits.length > 3);
    assert.deepEqual(clock.waits, []);
    assert.equal(client.status.live, true);
  });

  it("comes back when the server was killed, and misses nothing", async () => {
    const folder = temporaryFolder();
    after(() => folder.remove());
    const settings = { STORAGE: folder.path, LISTING_TTL: "0" };
    const killed = await startServer(settings);
    let { url } = killed;
    const clock = new HurriedClock();
    const { fetch, waits } = fetchFrom(() => url);
    const options = { clock, pollInterval: HOUR, random: () => 0.5 };
    const reader = await apps.open(fetch, options);
    const writer = await apps.open(fetchFrom(() => url).fetch);
    await writer.client.append("before");
    await until(() => reader.received.length === 1 && waits.at(-1) !== "wait=0");
    await killed.end("SIGKILL");
    await until(() => clock.waits.length > 0);
    assert.equal(clock.waits[0], 30_000);
    const again = await startServer(settings);
    try {
      url = again.url;
      await writer.client.append("after");
      await writer.client.sync();
      await until(() => reader.received.length === 2 && reader.client.status.live);
      assert.deepEqual(reader.received, ["before", "after"]);
    } finally {
      await reader.client.close();
      await writer.client.close();
      await again.end("SIGTERM");
    }
  });

  it("comes back after the Retry-After of a 503, and an append is sent before", async () => {
    const server = await serve();
    const clock = new HurriedClock();
    const fetch = answeringWaits(server, (_, number) =>
      number === 0
        ? new Response(null, { status: 503, headers: { "Retry-After": "77" } })
        : new Promise(() => undefined),
    );
    const { client, statuses } = await apps.open(fetch, { clock, pollInterval: HOUR });
    await until(() => client.status.live && clock.waits.length > 0);
    assert.deepEqual(clock.waits, [77_000]);
    assert.ok(statuses.every(({ state }) => state !== "offline"));

    let ended = 0;
    const cutting = answeringWaits(server, () => {
      ended++;
      throw new TypeError("the connection broke");
    });
    const real = { clock: systemClock, pollInterval: HOUR, random: () => 0.99 };
    const writer = await apps.open(cutting, real);
    await until(() => ended === 1 && !writer.client.status.live);
    await writer.client.append("one");
    await until(() => writer.client.status.pending === 0);
  });

  it("asks again at once, and is not offline, when no answer comes in time", async () => {
    const server = await serve();
    let waits = 0;
    const fetch = answeringWaits(server, () => {
      waits++;
      return new Promise(() => undefined);
    });
    const pauses: number[] = [];
    const clock: Clock = {
      now: systemClock.now,
      sleep: async (milliseconds, signal) => {
        // The timeout of a request that waits for 20 seconds. No other one passes.
        if (milliseconds > 30_000 && milliseconds < 35_000) return;
        if (milliseconds < HOUR && milliseconds > 15_000) pauses.push(milliseconds);
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
      },
    };
    const options = { clock, pollInterval: HOUR, idleTimeout: 10_000, random: () => 0 };
    const { client, statuses } = await apps.open(fetch, options);
    await until(() => waits > 2);
    await client.close();
    assert.deepEqual(pauses, []);
    assert.ok(statuses.every(({ state }) => state === "synced" || state === "pending"));
  });

  for (const seconds of [25, 1, 0]) {
    it(`makes no storm of requests where waits of ${seconds} seconds end at once`, async () => {
      const server = await serve();
      const clock = new HurriedClock();
      let waits = 0;
      const fetch = answeringWaits(server, () => {
        waits++;
        return noNews(seconds);
      });
      const options = { clock, pollInterval: HOUR, random: () => 0.5 };
      const { client } = await apps.open(fetch, options);
      await until(() => waits > 3);
      await client.close();
      assert.ok(clock.waits.length >= waits - 1);
      assert.deepEqual(new Set(clock.waits), new Set([30_000]));
    });
  }
});
