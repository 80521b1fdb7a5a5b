/** What a client delivers: operations of others, in order, and each cursor after its operations. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { contentBytes } from "../../client/content.ts";
import { beginSession, NO_PREVIOUS, originOf, sealBytes } from "../../client/envelope.ts";
import type { Cursor, Entry, Refusal, Store } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { storeOf } from "../support/sealed.ts";
import { nextTick, SimulatedServer } from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";
import {
  answer,
  createdBy,
  type Fetch,
  intercepted,
  lineOf,
  NEVER,
  textsOf,
  useApps,
} from "../support/sync-app.ts";

const apps = useApps();

describe("delivery", () => {
  it("brings each client what the others append, in order, and nothing of its own", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const [a, b] = [await apps.open(fetch), await apps.open(fetch)];
    const created = await a.client.appendAll(["one", "two"]);
    assert.deepEqual(created, [
      { client: a.client.client, index: 0, position: 0 },
      { client: a.client.client, index: 0, position: 1 },
    ]);
    await a.client.sync();
    await b.client.append("three");
    await b.client.sync();
    assert.deepEqual(b.received, ["one", "two"]);
    await a.client.sync();
    assert.deepEqual(a.received, ["three"], "its own are not delivered to it");
    assert.deepEqual(await createdBy(a.client), ["one", "two"]);
    assert.deepEqual(a.client.status, { state: "synced", pending: 0, refused: 0, live: false });
  });

  it("brings a client nothing of its own where the server shows it behind 10,000 forged clients", async () => {
    const store = new MemoryStore();
    let lines: string[] = [];
    const { client, received } = await apps.open(
      intercepted(new SimulatedServer(), ({ payload }) =>
        payload === undefined && lines.length > 0 ? answer(lines) : undefined,
      ),
      { store },
    );
    await client.appendAll(["one", "two"]);
    await client.sync();
    const forged = Array.from({ length: 10_001 }, () => {
      return { client: crypto.randomUUID(), index: 0, payload: "AQAA" };
    });
    const own = (await store.read(client.client, 0, 2, NEVER)).map((payload, index) => {
      return { client: client.client, index, payload };
    });
    lines = [...forged, ...own].map(lineOf);
    await client.sync();
    assert.deepEqual(received, []);
  });

  it("takes a long log in parts, and the cursor follows each part", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const texts = Array.from({ length: 2400 }, (_, i) => `operation ${i}`);
    const writer = await apps.open(fetch, { store: (await storeOf(apps.identity, texts)).store });
    await writer.client.sync();
    const store = new MemoryStore();
    const parts: [number, number][] = [];
    const reader = await apps.open(fetch, {
      store,
      receive: async (operations, cursor) => {
        await nextTick();
        const { cursors } = await store.load();
        assert.equal(cursors[0]?.index ?? -1, (operations[0]?.index ?? 0) - 1, "not stored yet");
        parts.push([operations.length, cursor.index]);
      },
    });
    await reader.client.sync();
    assert.deepEqual(parts, [
      [1024, 1023],
      [1024, 2047],
      [352, 2399],
    ]);
  });

  it("steps over operations with malformed content, reports each, and does not ask for them again", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const client = crypto.randomUUID();
    const payloads: string[] = [];
    let previous = NO_PREVIOUS;
    const origin = originOf(apps.identity, client);
    const session = await beginSession(apps.identity, { origin, index: 0, previous });
    for (const [index, text] of ["bad", "one", "bad", "three", "bad"].entries()) {
      const content = text === "bad" ? new Uint8Array(0) : contentBytes({ entries: [utf8(text)] });
      const place = { origin, index, previous };
      const { payload, tag } = await sealBytes(session, place, content);
      payloads.push(payload);
      previous = tag;
    }
    const written = new MemoryStore();
    await written.begin(client);
    await written.append(client, 0, payloads);
    const writer = await apps.open(fetch, { store: written });
    await writer.client.sync();

    const store = new MemoryStore();
    const refusals: Refusal[] = [];
    const onRefusal = (refusal: Refusal) => refusals.push(refusal);
    const reader = await apps.open(fetch, { store, onRefusal });
    await reader.client.sync();
    assert.deepEqual(reader.received, ["one", "three"]);
    const all = [0, 2, 4].map((index): Refusal => ({ kind: "unreadable", client, index }));
    assert.deepEqual(refusals, all);
    assert.deepEqual(reader.client.refusals, all.slice(-1));
    await reader.client.close();
    const again = await apps.open(fetch, { store, onRefusal });
    await again.client.sync();
    assert.deepEqual(again.received, []);
    assert.equal(refusals.length, 3);
  });

  it("is repeated after the app fails, and nothing else is", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const writer = await apps.open(fetch);
    await writer.client.appendAll(["one", "two"]);
    await writer.client.sync();
    let failures = 1;
    const delivered: string[][] = [];
    const reader = await apps.open(fetch, {
      receive: (operations) => {
        if (failures-- > 0) throw new Error("the disk is full");
        delivered.push(textsOf(operations));
      },
    });
    await until(() => reader.client.status.state === "synced");
    assert.deepEqual(delivered, [["one", "two"]]);
    const [refused] = reader.statuses.filter(({ state }) => state === "refused");
    assert.deepEqual(refused, {
      state: "refused",
      pending: 0,
      code: "device",
      why: "the disk is full",
      final: false,
      refused: 0,
      live: false,
    });
  });

  it("is repeated with the same cursor when the cursor cannot be stored", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const writer = await apps.open(fetch);
    await writer.client.appendAll(["one", "two"]);
    await writer.client.sync();
    const store: Store = new MemoryStore();
    const receive = store.receive.bind(store);
    let failures = 1;
    store.receive = async (...of) => {
      if (failures-- > 0) throw new Error("the disk is full");
      await receive(...of);
    };
    const delivered: [string[], number][] = [];
    const reader = await apps.open(fetch, {
      store,
      receive: (operations, { index }) => {
        delivered.push([textsOf(operations), index]);
      },
    });
    await until(() => reader.client.status.state === "synced");
    assert.deepEqual(delivered, [
      [["one", "two"], 0],
      [["one", "two"], 0],
    ]);
  });

  it("starts from the cursors of the app: from nothing, or from everything", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const writer = await apps.open(fetch);
    await writer.client.appendAll(["one", "two"]);
    await writer.client.sync();
    const store = new MemoryStore();
    const cursors = new Map<string, Cursor>();
    const receive = (_: readonly Entry[], cursor: Cursor) => {
      cursors.set(cursor.client, cursor);
    };
    const first = await apps.open(fetch, { store, receive });
    await first.client.sync();
    await first.client.close();
    const again = await apps.open(fetch, { store, cursors: [] });
    await again.client.sync();
    assert.deepEqual(again.received, ["one", "two"]);
    await again.client.close();
    const knowing = await apps.open(fetch, { cursors: [...cursors.values()] });
    await knowing.client.sync();
    assert.deepEqual(knowing.received, []);
  });

  it("does not begin with a cursor that is none", async () => {
    const server = new SimulatedServer();
    const cursor = { client: crypto.randomUUID(), index: 0, hash: "of an earlier version" };
    const cursors: Cursor[] = JSON.parse(JSON.stringify([cursor]));
    await assert.rejects(
      apps.open((request) => server.fetch(request), { cursors }),
      TypeError,
    );
  });
});
