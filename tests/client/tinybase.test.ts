/** Mergeable stores of TinyBase: devices at the real handler, and five of them over a bad network. */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { createMergeableStore, type MergeableStore } from "tinybase/mergeable-store";
import type { DocumentsOptions, SyncDocuments } from "../../client/documents.ts";
import type { Identity } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { TinyBaseProvider } from "../../client/tinybase.ts";
import { newIdentity } from "../support/private-keys.ts";
import { DocumentDevices, openDocuments } from "../support/simulated-documents.ts";
import {
  JumpingClock,
  randomFrom,
  SimulatedNetwork,
  SimulatedServer,
} from "../support/simulated-network.ts";

const DEVICES = 5;
const STEPS = 60;
const SEEDS = 12;

let identity: Identity;
before(async () => {
  identity = await newIdentity();
});

/** Stores and syncs on each device, in turn. */
async function syncAll(...devices: readonly SyncDocuments[]): Promise<void> {
  for (const documents of devices) {
    await documents.flush();
    await documents.client.sync();
  }
}

describe("a provider for TinyBase", () => {
  const open = (
    server: SimulatedServer,
    store = new MemoryStore(),
    options: Partial<DocumentsOptions> = {},
  ) =>
    openDocuments(
      { identity, fetch: (request) => server.fetch(request) },
      { store, batch: 3600_000, ...options },
    );

  it("stores what was changed beside a cell that is too large, once that is deleted", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0", MAX_BODY: "64KiB" });
    const errors: string[] = [];
    const onError = (error: unknown) => errors.push(String(error));
    const laptop = await open(server, new MemoryStore(), { onError });
    const phone = await open(server);
    const { store: one } = new TinyBaseProvider(laptop, "todo");
    const { store: other } = new TinyBaseProvider(phone, "todo");
    // It learns what the server takes.
    await laptop.client.sync();
    one.setRow("todos", "a", { title: "x".repeat(200_000) });
    await assert.rejects(laptop.flush(), /"todo" are not stored.*too large.*delete what is large/);
    one.setRow("todos", "b", { title: "Feed the cat" });
    await assert.rejects(laptop.flush(), /too large/);
    one.delRow("todos", "a");
    await syncAll(laptop, phone);
    assert.equal(other.getJson(), '[{"todos":{"b":{"title":"Feed the cat"}}},{}]');
    assert.deepEqual(other.getMergeableContent(), one.getMergeableContent());
    assert.match(errors.join(), /^DocumentError: [^,]*"todo"[^,]*too large[^,]*$/);
    for (const documents of [laptop, phone]) await documents.close();
  });

  it("stores what takes the place of an operation that the server does not take", async () => {
    const small = await DocumentDevices.create({ MAX_BODY: "64KiB" });
    small.isOffline = true;
    const laptop = await small.open({ batch: 3600_000 });
    const { store: one } = new TinyBaseProvider(laptop, "todo");
    for (const row of ["a", "b", "c"]) {
      one.setRow("todos", row, { title: row === "b" ? "x".repeat(200_000) : row, done: false });
      if (row === "b") one.setValue("last", "b");
      await laptop.flush();
    }
    small.isOffline = false;
    await assert.rejects(laptop.client.sync(), { code: "body-too-large" });
    const [tooLarge = assert.fail("nothing was too large")] = laptop.client.tooLarge;
    await assert.rejects(laptop.drop(tooLarge), /RangeError: \d+ bytes are too large/);
    one.delCell("todos", "b", "title");
    await laptop.drop(tooLarge);
    const phone = await small.open();
    const { store: other } = new TinyBaseProvider(phone, "todo");
    await syncAll(laptop, phone);
    assert.deepEqual(other.getMergeableContent(), one.getMergeableContent());
    assert.deepEqual({ ...other.getRow("todos", "b") }, { done: false });
    assert.equal(other.getValue("last"), "b");
    await small.close();
  });

  it("stores what a store had before, also where it ends before it is loaded", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const disk = new MemoryStore();
    const first = await open(server, disk);
    const store = createMergeableStore();
    store.setValue("before", 1);
    new TinyBaseProvider(first, "todo", store).destroy();
    assert.ok(!first.isLoaded);
    await first.close();
    const again = await open(server, disk);
    const loaded = await new TinyBaseProvider(again, "todo").whenLoaded;
    assert.deepEqual({ ...loaded.store.getValues() }, { before: 1 });
    await again.close();
  });

  it("syncs tables, values and deletions, and stores a batch as one entry", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const [laptop, phone] = [await open(server), await open(server)];
    const { store: one } = new TinyBaseProvider(laptop, "todo");
    const { store: other } = new TinyBaseProvider(phone, "todo");
    one.setRow("todos", "a", { title: "Buy milk", done: false });
    one.setRow("todos", "b", { title: "Feed the cat" });
    one.setValue("theme", "dark");
    await syncAll(laptop, phone);
    other.setCell("todos", "a", "done", true);
    other.delRow("todos", "b");
    other.delValue("theme");
    await syncAll(phone, laptop);
    assert.equal(one.getJson(), '[{"todos":{"a":{"title":"Buy milk","done":true}}},{}]');
    assert.deepEqual(other.getMergeableContent(), one.getMergeableContent());
    let count = 0;
    for await (const entries of phone.client.entries()) count += entries.length;
    assert.equal(count, 2);
    for (const documents of [laptop, phone]) await documents.close();
  });

  it("stores what a store had before, also where it is closed before it is loaded", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const kept = new MemoryStore();
    const first = await open(server, kept);
    new TinyBaseProvider(first, "todo").store.setRow("todos", "a", { title: "Buy milk" });
    await first.close();
    const second = await open(server, kept);
    const before = createMergeableStore();
    before.setRow("todos", "b", { title: "Feed the cat" });
    new TinyBaseProvider(second, "todo", before);
    assert.ok(!second.isLoaded);
    await second.close();
    const third = await open(server, kept);
    const { store } = await new TinyBaseProvider(third, "todo").whenLoaded;
    assert.deepEqual(store.getRowIds("todos").sort(), ["a", "b"]);
    await third.close();
  });

  it("syncs what a listener adds to changes of another device, and nothing back and forth", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const [laptop, phone] = [await open(server), await open(server)];
    const { store: one } = new TinyBaseProvider(laptop, "todo");
    const { store: other } = new TinyBaseProvider(phone, "todo");
    const count = () => other.setValue("count", other.getRowCount("todos"));
    other.addRowIdsListener("todos", count, true);
    one.setRow("todos", "a", { title: "Buy milk" });
    await syncAll(laptop, phone, phone, laptop);
    assert.equal(one.getValue("count"), 1);
    let entries = 0;
    for (let round = 0; round < 2; round++) {
      await syncAll(phone, laptop);
      entries = 0;
      for await (const page of laptop.client.entries()) entries += page.length;
    }
    assert.equal(entries, 2);
    assert.deepEqual(other.getMergeableContent(), one.getMergeableContent());
    for (const documents of [laptop, phone]) await documents.close();
  });

  it("adds what a store had before, once, and ends without it", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const disk = new MemoryStore();
    const first = await open(server, disk);
    const store = createMergeableStore();
    store.setValue("before", 1);
    const provider = new TinyBaseProvider(first, "todo", store);
    assert.equal(await provider.whenLoaded, provider);
    store.setValue("after", 2);
    await syncAll(first);
    provider.destroy();
    store.setValue("gone", 3);
    await first.close();
    const again = await open(server, disk);
    const loaded = await new TinyBaseProvider(again, "todo").whenLoaded;
    assert.deepEqual({ ...loaded.store.getValues() }, { before: 1, after: 2 });
    const same = await new TinyBaseProvider(again, "todo", loaded.store).whenLoaded;
    await same.whenSynced;
    await again.flush();
    assert.equal(again.client.status.pending, 0);
    await again.close();
  });
});

const HOUR = 3_600_000;
const SETTINGS = { LISTING_TTL: "0", RETENTION: "1h", PACKED_RETENTION: "1m" };

describe("five devices that change a store of TinyBase", () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    it(`hold equal stores in the end, after changes at the same time, faults and restarts: seed ${seed}`, async () => {
      const random = randomFrom(seed);
      const below = (limit: number) => Math.floor(random() * limit);
      const clock = new JumpingClock();
      const server = new SimulatedServer(SETTINGS, clock);
      const network = new SimulatedNetwork(server, random);
      const disks = Array.from({ length: DEVICES }, () => new MemoryStore());
      const start = async (disk: MemoryStore) => {
        const documents = await openDocuments(
          { identity, fetch: network.fetch },
          { store: disk, clock, random, batch: 200, sign: true, snapshotEvery: 1500 },
        );
        return { documents, store: new TinyBaseProvider(documents, "todo").store };
      };
      const change = (store: MergeableStore) => {
        const [row, cell] = [`${below(4)}`, `${below(3)}`];
        const kind = random();
        if (kind < 0.6) store.setCell("table", row, cell, below(1000));
        else if (kind < 0.75) store.delRow("table", row);
        else if (kind < 0.9) store.setValue(cell, `${below(1000)}`);
        else store.delValue(cell);
      };
      const devices = await Promise.all(disks.map(start));
      try {
        for (let step = 0; step < STEPS; step++) {
          const at = below(DEVICES);
          const device = devices[at] ?? assert.fail();
          const kind = random();
          if (kind < 0.8) change(device.store);
          else if (kind < 0.9) await device.documents.client.sync();
          else if (kind < 0.93) {
            // What snapshots stand for is deleted, while no device asks for anything.
            clock.pass(2 * HOUR);
            await device.documents.client.sync();
            await server.trim();
          } else {
            await device.documents.close();
            devices[at] = await start(disks[at] ?? assert.fail());
          }
        }
        network.faulty = 0;
        for (let round = 0; round < 2; round++) {
          await syncAll(...devices.map(({ documents }) => documents));
        }
        const [first, ...others] = devices.map(({ store }) => store.getMergeableContent());
        for (const content of others) assert.deepEqual(content, first);
        assert.ok(server.snapshots > 0, "there are snapshots");
        const fresh = await start(new MemoryStore());
        await fresh.documents.client.sync();
        assert.deepEqual(fresh.store.getMergeableContent(), first);
        await fresh.documents.close();
      } finally {
        for (const { documents } of devices) await documents.close();
      }
    });
  }
});
