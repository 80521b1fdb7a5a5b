/** Entries that are appended while the server has not acknowledged what came before: sent together. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type Clock,
  type Created,
  type Receive,
  type Store,
  type SyncOptions,
  textOf,
} from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { offline } from "../support/app-data.ts";
import { places, placesOn } from "../support/places.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";
import { StoppedClock } from "../support/stopped-clock.ts";
import { createdBy, entriesOn, type Fetch, intercepted, useApps } from "../support/sync-app.ts";

const apps = useApps();

/** A server, and how many operations each request had that carried some. */
function countingServer(settings: Readonly<Record<string, string>> = {}) {
  const server = new SimulatedServer({ LISTING_TTL: "0", ...settings });
  const counts: number[] = [];
  const fetch = intercepted(server, ({ payload }) => {
    if (payload !== undefined) counts.push(payload.length);
    return undefined;
  });
  return { server, fetch, counts };
}

describe("entries that are appended while an operation is on its way", () => {
  it("are sent in one operation, under the names that append returned", async () => {
    const { server, fetch, counts } = countingServer();
    let answer: () => void = () => undefined;
    const answered = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const app = await apps.open(async (request) => {
      const response = await fetch(request);
      if (counts.length > 0) await answered;
      return response;
    });
    const { client } = app;
    const created = [await client.append("a")];
    await until(() => counts.length === 1);
    created.push(await client.append("b"), ...(await client.appendAll(["c", "d"])));
    created.push(await client.append(""));
    assert.deepEqual(created, places(app, [0, 0], [1, 0], [1, 1], [1, 2], [1, 3]));
    assert.equal(client.status.pending, 5);
    assert.deepEqual(await createdBy(client), ["a", "b", "c", "d", ""]);
    answer();
    await client.sync();
    assert.deepEqual(counts, [1, 1]);
    assert.equal(client.status.pending, 0);
    const texts = ["a", "b", "c", "d", ""];
    assert.deepEqual(
      await placesOn(apps, (request) => server.fetch(request)),
      created.map((one, i) => [one, texts[i]]),
    );
  });

  it("are sent in order where many are appended at once", async () => {
    const { server, fetch, counts } = countingServer();
    const { client } = await apps.open(fetch);
    const texts = Array.from({ length: 300 }, (_, i) => `entry ${i}`);
    const created = await Promise.all(texts.map((text) => client.append(text)));
    await client.sync();
    assert.ok(counts.length < 20, `${counts.length} requests`);
    assert.deepEqual(
      await placesOn(apps, (request) => server.fetch(request)),
      created.map((one, i) => [one, texts[i]]),
    );
  });
});

describe("entries of a client that gathers", () => {
  /** A client that is synced, and whose time passes where the test has it pass. */
  async function openGathering(
    options: Partial<SyncOptions> = {},
    answered: () => Promise<void> | undefined = () => undefined,
  ) {
    const { server, fetch, counts } = countingServer();
    let end: (() => void) | undefined;
    const sleeps: number[] = [];
    const clock: Clock = {
      now: () => 1_800_000_000_000,
      sleep: (milliseconds, signal) =>
        new Promise((resolve) => {
          signal.addEventListener("abort", () => resolve());
          if (milliseconds !== 200) return;
          sleeps.push(milliseconds);
          end = resolve;
        }),
    };
    const store = new MemoryStore();
    const slowly: Fetch = async (request) => {
      const response = await fetch(request);
      await answered();
      return response;
    };
    const app = await apps.open(slowly, { clock, store, gather: 200, ...options });
    await app.client.append("first");
    await app.client.sync();
    counts.length = 0;
    return { app, counts, fetch, server, sleeps, store, pass: () => end?.() };
  }

  it("are durable at once, and sent in one operation after a while", async () => {
    const { app, counts, fetch, pass, sleeps, store } = await openGathering();
    const { client } = app;
    const created = [await client.append("a")];
    assert.deepEqual((await store.load()).drafts.length, 1);
    assert.deepEqual([client.status.state, client.status.pending], ["pending", 1]);
    created.push(await client.append("b"), ...(await client.appendAll(["c", "d"])));
    await until(() => sleeps.length === 1);
    assert.deepEqual(created, places(app, [1, 0], [1, 1], [1, 2], [1, 3]));
    assert.deepEqual(counts, []);
    pass();
    await until(() => client.status.state === "synced");
    assert.deepEqual([counts, sleeps.length], [[1], 1]);
    await client.append("e");
    pass();
    await until(() => counts.length === 2 && client.status.state === "synced");
    const texts = ["a", "b", "c", "d"];
    assert.deepEqual(
      (await placesOn(apps, fetch)).slice(1, 5),
      created.map((one, i) => [one, texts[i]]),
    );
  });

  it("are sent at once by a call of sync, and not once more when the time has passed", async () => {
    const { app, counts, pass, server } = await openGathering();
    await app.client.append("a");
    await app.client.sync();
    assert.deepEqual(counts, [1]);
    const { requests } = server;
    pass();
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(server.requests, requests);
  });

  it("are gathered as well while an operation is on its way, but not from a call of sync", async () => {
    let answered: Promise<void> | undefined;
    const { app, counts, pass, server, sleeps } = await openGathering({}, () => answered);
    const { client } = app;
    let answer: () => void = () => undefined;
    const hold = () => {
      answered = new Promise((resolve) => {
        answer = resolve;
      });
    };
    hold();
    await client.append("a");
    pass();
    await until(() => counts.length === 1);
    await client.append("b");
    answer();
    await until(() => client.status.pending === 1);
    assert.equal(client.status.state, "pending");
    const { requests } = server;
    await client.append("c");
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.deepEqual([server.requests, sleeps.length], [requests, 2]);
    hold();
    pass();
    await until(() => counts.length === 2);
    const synced = client.sync();
    await client.append("d");
    answer();
    await synced;
    assert.deepEqual([counts, sleeps.length], [[1, 1, 1], 2]);
  });

  it("are there after a restart in between, and are sent then", async () => {
    const { app, counts, fetch, store } = await openGathering();
    const created = await app.client.append("a");
    await app.client.close();
    assert.deepEqual(counts, []);
    const again = await apps.open(fetch, { store, gather: 200 });
    await again.client.sync();
    assert.deepEqual((await placesOn(apps, fetch)).slice(1), [[created, "a"]]);
  });

  it("are an operation each where there is none before, as the app is given them at once", async () => {
    const { fetch, counts } = countingServer();
    const own: string[] = [];
    const receive: Receive = (entries) => {
      own.push(...entries.map(({ data }) => textOf(data)));
    };
    const { client } = await apps.open(fetch, {
      gather: 3600_000,
      receive,
      clock: new StoppedClock(),
    });
    await client.sync();
    for (const text of ["a", "b", "c"]) {
      await client.append(text);
      await until(() => own.at(-1) === text);
    }
    await client.sync();
    assert.equal(
      counts.reduce((sum, count) => sum + count, 0),
      2,
    );
  });
});

describe("entries that are appended while the server is away", () => {
  /** A device whose first operation cannot be sent, and that does not try again by itself. */
  async function openOffline(fetch: Fetch, store: Store) {
    let isOnline = false;
    const app = await apps.open((request) => (isOnline ? fetch(request) : offline(request)), {
      store,
      clock: new StoppedClock(),
    });
    await until(() => app.client.status.state === "offline");
    const goOnline = () => {
      isOnline = true;
    };
    return { app, goOnline };
  }

  it("are sent in one operation behind the first, as soon as it is back", async () => {
    const { fetch, counts } = countingServer();
    const store = new MemoryStore();
    const { app, goOnline } = await openOffline(fetch, store);
    const created = [await app.client.append("a"), await app.client.append("b")];
    created.push(...(await app.client.appendAll(["c", "d"])));
    assert.deepEqual(created, places(app, [0, 0], [1, 0], [1, 1], [1, 2]));
    const { own, drafts } = await store.load();
    assert.deepEqual([own[0]?.length, drafts.length], [1, 2]);
    goOnline();
    await app.client.sync();
    assert.deepEqual(counts, [2], "both in one request");
    assert.deepEqual((await store.load()).drafts, []);
    const texts = ["a", "b", "c", "d"];
    assert.deepEqual(
      await placesOn(apps, fetch),
      created.map((one, i) => [one, texts[i]]),
    );
  });

  it("keep their names, are counted and can be read after each of several restarts", async () => {
    const { fetch } = countingServer();
    const store = new MemoryStore();
    const created: Created[] = [];
    const texts: string[] = [];
    for (let start = 0; start < 4; start++) {
      const { app } = await openOffline(fetch, store);
      for (const text of [`${start} a`, `${start} b`, `${start} c`]) {
        texts.push(text);
        created.push(await app.client.append(text));
      }
      assert.equal(app.client.status.pending, texts.length);
      assert.deepEqual(await createdBy(app.client), texts);
      await app.client.close();
      assert.ok((await store.load()).drafts.length > 0);
    }
    const again = await apps.open(offline, { store });
    assert.equal(again.client.status.pending, texts.length);
    const entries = await entriesOn(again.client);
    assert.deepEqual(
      entries.map(({ client, index, position }) => ({ client, index, position })),
      created,
    );
    await again.client.close();
    const last = await apps.open(fetch, { store });
    await last.client.sync();
    assert.deepEqual(
      await placesOn(apps, fetch),
      created.map((one, i) => [one, texts[i]]),
    );
  });

  it("are sent by another device in the same place, if this one does not come back", async () => {
    const { fetch } = countingServer();
    const left = new MemoryStore();
    const first = await apps.open(fetch, { store: left });
    await first.client.append("a");
    await first.client.sync();
    await first.client.close();
    const { app } = await openOffline(fetch, left);
    await app.client.append("b");
    await app.client.append("c");
    await app.client.close();
    assert.equal((await left.load()).drafts.length, 1);
    const place: Store = new MemoryStore();
    const found = [left];
    place.abandoned = async () => found.splice(0);
    const { client, received } = await apps.open(fetch, { store: place });
    await client.sync();
    assert.deepEqual(received, ["a", "b", "c"]);
    assert.deepEqual((await left.load()).drafts, []);
  });

  it("move with the operations before them to a new client id", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const fetch: Fetch = (request) => server.fetch(request);
    const store = new MemoryStore();
    const original = await apps.open(fetch, { store });
    await original.client.append("both");
    await original.client.sync();
    await original.client.close();
    const [own] = (await store.load()).own;
    const copy = new MemoryStore();
    await copy.begin(own?.client ?? "");
    await copy.append(own?.client ?? "", 0, await store.read(own?.client ?? "", 0, 1, 0));
    const other = await apps.open(fetch, { store: copy });
    await other.client.append("of the copy");
    await other.client.sync();

    const { app, goOnline } = await openOffline(fetch, store);
    for (const text of ["a", "b", "c"]) await app.client.append(text);
    goOnline();
    await app.client.sync();
    assert.deepEqual(app.changes, [
      { from: own?.client, to: app.client.client, first: 1, count: 2 },
    ]);
    assert.deepEqual(await createdBy(app.client), ["both", "a", "b", "c"]);
    await other.client.sync();
    assert.deepEqual(other.received, ["a", "b", "c"]);
  });

  it("that the store does not take are not created, and the next one has their name", async () => {
    const { fetch } = countingServer();
    const store: Store = new MemoryStore();
    const { app, goOnline } = await openOffline(fetch, store);
    await app.client.append("a");
    const appendDraft = store.appendDraft.bind(store);
    store.appendDraft = () => Promise.reject(new Error("the disk is full"));
    await assert.rejects(app.client.append("lost"), /disk is full/);
    await assert.rejects(app.client.append("lost too"), /disk is full/);
    store.appendDraft = appendDraft;
    const aborted = AbortSignal.abort(new Error("too late"));
    await assert.rejects(app.client.append("late", aborted), /too late/);
    assert.deepEqual(await app.client.append("b"), places(app, [1, 0])[0]);
    const { append } = store;
    store.append = () => Promise.reject(new Error("the disk is full"));
    goOnline();
    await assert.rejects(app.client.sync(), /disk is full/);
    assert.deepEqual(await app.client.append("c"), places(app, [1, 1])[0]);
    store.append = append.bind(store);
    await app.client.sync();
    const reader = await apps.open(fetch);
    await reader.client.sync();
    assert.deepEqual(reader.received, ["a", "b", "c"]);
  });
});
