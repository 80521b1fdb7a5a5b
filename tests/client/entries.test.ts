/** What `entries` reads: all that is on a device, each once, also without the server. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Created, Cursor, Entry, SyncClient } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { AppData, offline, serverWith, syncOnce } from "../support/app-data.ts";
import { createEach, storeOf } from "../support/sealed.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";
import { StoppedClock } from "../support/stopped-clock.ts";
import {
  entriesOn,
  type Fetch,
  intercepted,
  sendEach,
  textsOf,
  useApps,
} from "../support/sync-app.ts";

const apps = useApps();

/** The texts of the entries on a device, those of each client id by themselves. */
async function byClient(client: SyncClient, after?: readonly Created[]) {
  const texts = new Map<string, string[]>();
  for (const entry of await entriesOn(client, after)) {
    const of = texts.get(entry.client) ?? [];
    texts.set(entry.client, [...of, ...textsOf([entry])]);
  }
  return texts;
}

/**
 * A device with three operations of its own, of which one is sent and one is made of drafts, and
 * three of another device: each of three entries.
 */
async function openDevice() {
  const server = new SimulatedServer({ LISTING_TTL: "0" });
  const fetch: Fetch = (request) => server.fetch(request);
  const other = await apps.open(fetch);
  for (const i of [0, 1, 2]) {
    await other.client.appendAll(["a", "b", "c"].map((text) => `their ${i} ${text}`));
    await other.client.sync();
  }
  const store = new MemoryStore();
  const device = await apps.open(fetch, { store });
  await device.client.appendAll(["0 a", "0 b", "0 c"]);
  await device.client.sync();
  await device.client.close();
  const { client } = await apps.open(offline, { store, clock: new StoppedClock() });
  await until(() => client.status.state === "offline");
  await client.appendAll(["1 a", "1 b", "1 c"]);
  await client.append("2 a");
  await client.appendAll(["2 b", "2 c"]);
  assert.equal((await store.load()).drafts.length, 2);
  return { client, store, own: client.client, their: other.client.client };
}

/** Of each, no two are read at once. */
const LONG = Array.from({ length: 4 }, (_, i) => `${i}`.padEnd(600_000, "."));

const OWN = ["0 a", "0 b", "0 c", "1 a", "1 b", "1 c", "2 a", "2 b", "2 c"];
const THEIR = OWN.map((text) => `their ${text}`);

describe("the entries on a device", () => {
  it("are all there without the server, in order and with their places, also after a restart", async () => {
    const { client, store, own, their } = await openDevice();
    const expected = [
      [own, OWN],
      [their, THEIR],
    ].flatMap(([id, texts]) =>
      [...(texts ?? [])].map((text, i) => [id, Math.floor(i / 3), i % 3, text]),
    );
    const check = (entries: readonly Entry[]) => {
      const texts = textsOf(entries);
      const found = entries.map((one, i) => [one.client, one.index, one.position, texts[i]]);
      assert.deepEqual(found, expected);
    };
    check(await entriesOn(client));
    check(await entriesOn(client));
    await client.close();
    const again = await apps.open(offline, { store });
    check(await entriesOn(again.client));
    for (const entry of await entriesOn(again.client)) {
      assert.equal(again.client.isOwn(entry), entry.client === own);
    }
  });

  it("are read from any of them on, of each client id", async () => {
    const { client, own, their } = await openDevice();
    for (let i = 0; i < 9; i++) {
      const [index, position] = [Math.floor(i / 3), i % 3];
      const rest = (texts: readonly string[]) => texts.slice(i + 1);
      const after = (id: string) => [{ client: id, index, position }];
      const some = (id: string, texts: readonly string[]): [string, readonly string[]][] =>
        texts.length === 0 ? [] : [[id, texts]];
      assert.deepEqual(
        [...(await byClient(client, after(own)))],
        [...some(own, rest(OWN)), [their, THEIR]],
      );
      assert.deepEqual(
        [...(await byClient(client, after(their)))],
        [[own, OWN], ...some(their, rest(THEIR))],
      );
      const both = await byClient(client, [...after(own), ...after(their)]);
      assert.deepEqual([...both], [...some(own, rest(OWN)), ...some(their, rest(THEIR))]);
    }
    const unknown = [{ client: crypto.randomUUID(), index: 7, position: 7 }];
    assert.equal((await entriesOn(client, unknown)).length, 18);
    const beyond = [own, their].map((id) => ({ client: id, index: 3, position: 0 }));
    assert.deepEqual(await entriesOn(client, beyond), []);
  });

  it("are each there once where they become operations while they are read", async () => {
    const { fetch } = await serverWith(apps);
    const store = new MemoryStore();
    await createEach(apps.identity, store, LONG);
    let isOnline = false;
    const { client } = await apps.open(
      (request) => (isOnline ? fetch(request) : offline(request)),
      { store, clock: new StoppedClock() },
    );
    await until(() => client.status.state === "offline");
    for (const sealAt of [0, 2, 3, 4]) {
      isOnline = false;
      await client.append(`waits ${sealAt}`);
      await client.append(`waits too ${sealAt}`);
      const texts: string[] = [];
      let page = 0;
      for await (const some of client.entries()) {
        if (page++ === sealAt) {
          isOnline = true;
          await client.sync();
        }
        texts.push(...textsOf(some).map(short));
      }
      const all = textsOf(await entriesOn(client)).map(short);
      assert.deepEqual(texts, all, `page ${sealAt}`);
      assert.equal(new Set(texts).size, texts.length);
    }
  });

  it("are no damage where they move to a new client id while they are read", async () => {
    const { fetch } = await serverWith(apps);
    const { store, id } = await storeOf(apps.identity, ["zero"]);
    const copy = new MemoryStore();
    await copy.begin(id);
    await copy.append(id, 0, await store.read(id, 0, 1, 0));
    await createEach(apps.identity, copy, ["of the copy"]);
    await syncOnce(apps, fetch, copy, new AppData());
    await createEach(apps.identity, store, LONG);
    let isOnline = false;
    const { client } = await apps.open(
      (request) => (isOnline ? fetch(request) : offline(request)),
      { store, clock: new StoppedClock() },
    );
    await until(() => client.status.state === "offline");
    const texts: string[] = [];
    for await (const some of client.entries()) {
      texts.push(...textsOf(some).map(short));
      isOnline = true;
      await client.sync();
    }
    assert.equal(texts[0], "zero");
    assert.notEqual(client.client, id);
    const all = textsOf(await entriesOn(client)).map(short);
    assert.deepEqual(all, ["zero", ...LONG.map(short), "of the copy"]);
  });

  it("are each there once where some have moved to a new client id, on every device", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const fetch: Fetch = (request) => server.fetch(request);
    const { store, id } = await storeOf(apps.identity, ["zero"]);
    const original = await apps.open(fetch, { store });
    await original.client.sync();
    await original.client.close();
    const copy = new MemoryStore();
    await copy.begin(id);
    await copy.append(id, 0, await store.read(id, 0, 1, 0));
    await copy.acknowledge(id, 1);
    await createEach(apps.identity, store, ["one", "two"]);
    await syncOnce(apps, fetch, store, new AppData());
    await createEach(apps.identity, copy, ["of the copy", "of the copy too"]);
    const cloned = await apps.open(fetch, { store: copy });
    await cloned.client.append("waits");
    await cloned.client.sync();
    const { client: to } = cloned.client;
    assert.notEqual(to, id);
    const expected = [
      [id, ["zero", "one", "two"]],
      [to, ["of the copy", "of the copy too", "waits"]],
    ];
    // Under the old id it has created one, and has received what the other one made.
    assert.deepEqual(
      [...(await byClient(cloned.client))].toSorted(byText),
      expected.toSorted(byText),
    );
    for (const { client, index, position } of await entriesOn(cloned.client)) {
      assert.equal(cloned.client.isOwn({ client, index }), client === to || index === 0);
      const after = await entriesOn(cloned.client, [{ client, index, position }]);
      const isIn = after.some((one) => one.client === client && one.index <= index);
      assert.equal(isIn, false);
      assert.equal(after.length, 6 - 1 - index);
    }
    await cloned.client.close();
    const again = await apps.open(offline, { store: copy });
    assert.deepEqual(
      [...(await byClient(again.client))].toSorted(byText),
      expected.toSorted(byText),
    );
    for (const one of [await apps.open(fetch), await apps.open(fetch, { store })]) {
      await one.client.sync();
      assert.deepEqual(
        [...(await byClient(one.client))].toSorted(byText),
        expected.toSorted(byText),
      );
    }
  });
});

describe("the entries on a device, while its client goes on", () => {
  it("are all there, where drafts are sent while they are read", async () => {
    const server = new SimulatedServer();
    let isOffline = false;
    const fetch = intercepted(server, () => {
      if (isOffline) throw new TypeError("offline");
      return undefined;
    });
    const { client } = await apps.open(fetch, { clock: new StoppedClock() });
    await sendEach(client, ["zero"]);
    isOffline = true;
    await client.append("one");
    await client.append("two");
    await client.append("three");
    isOffline = false;
    const reading = client.entries();
    const read = textsOf((await reading.next()).value ?? []);
    await client.sync();
    await client.append("four");
    for await (const some of reading) read.push(...textsOf(some));
    assert.deepEqual(read, ["zero", "one", "two", "three", "four"]);
  });

  for (const before of [["zero", "one"], []]) {
    const what = `a crash between the app and its client, after ${before.length} operations`;
    it(`are all there after ${what}`, () => afterCrash(before));
  }

  async function afterCrash(before: readonly string[]): Promise<void> {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const writer = await apps.open(fetch);
    await sendEach(writer.client, before);
    const store = new MemoryStore();
    const reader = await apps.open(fetch, { store });
    await reader.client.sync();
    await reader.client.close();
    await sendEach(writer.client, ["two"]);
    // The app stores its data and the cursor, and the device crashes.
    const cursors: Cursor[] = [];
    store.receive = () => Promise.reject(new Error("crashed"));
    const crashing = await apps.open(fetch, {
      store,
      receive: (entries, cursor) => {
        assert.deepEqual(textsOf(entries), ["two"]);
        cursors.splice(0, 1, cursor);
      },
    });
    await assert.rejects(crashing.client.sync(), /crashed/);
    await crashing.client.close();
    store.receive = MemoryStore.prototype.receive;
    const again = await apps.open(fetch, { store, cursors });
    await again.client.sync();
    assert.deepEqual(again.received, []);
    assert.deepEqual(textsOf(await entriesOn(again.client)), [...before, "two"]);
    await sendEach(writer.client, ["three"]);
    await again.client.sync();
    assert.deepEqual(again.received, ["three"]);
    assert.deepEqual(textsOf(await entriesOn(again.client)), [...before, "two", "three"]);
  }
});

/** The beginning of a long text. */
function short(text: string): string {
  return text.slice(0, 20);
}

function byText(one: unknown, other: unknown): number {
  return JSON.stringify(one) < JSON.stringify(other) ? -1 : 1;
}
