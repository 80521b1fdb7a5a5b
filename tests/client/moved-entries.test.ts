/** Own entries that go on under a new client id, which is given up as well. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Delivery } from "../../client/delivery.ts";
import type { ClientChange, Cursor } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { Outbox } from "../../client/outbox.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { newIdentity } from "../support/private-keys.ts";
import { textsOf } from "../support/sync-app.ts";

/** An app that stores its cursors, and what hands entries to it. */
async function appOf(store: MemoryStore, cursors?: Map<string, Cursor>) {
  const outbox = await Outbox.open(store, await identity, await store.load());
  const texts: string[] = [];
  const changes: ClientChange[] = [];
  const stored = cursors ?? new Map<string, Cursor>();
  const delivery = new Delivery({
    outbox,
    app: {
      receive: (entries, cursor) => {
        texts.push(...textsOf(entries));
        stored.set(cursor.client, cursor);
      },
      onClientChange: (change) => {
        changes.push(change);
        if (change.cursor !== undefined) stored.set(change.to, change.cursor);
      },
    },
    signal: new AbortController().signal,
  });
  if (cursors !== undefined) delivery.startAt([...cursors.values()]);
  const append = async (text: string) => {
    await outbox.append([utf8(text)], Infinity);
    await outbox.sealWaiting();
  };
  return { outbox, delivery, texts, changes, cursors: stored, append };
}

const identity = newIdentity();

function namesOf(changes: readonly ClientChange[]) {
  return changes.map(({ from, to, first, count }) => ({ from, to, first, count }));
}

describe("entries that are moved again before the app has learned their new names", () => {
  for (const kept of [0, 1]) {
    it(`have them all reported, and are not delivered again, with ${kept} left in between`, async () => {
      const app = await appOf(new MemoryStore());
      for (const text of ["a", "b", "c"]) await app.append(text);
      await app.delivery.own();
      const first = await app.outbox.changeClient(app.outbox.client, 1, true);
      const second = await app.outbox.changeClient(first.to, kept, true);
      await app.append("d");
      await app.delivery.own();
      assert.deepEqual(app.texts, ["a", "b", "c", "d"]);
      assert.deepEqual(namesOf(app.changes), [first, second]);
    });

    it(`the same after a restart, with ${kept} left in between`, async () => {
      const store = new MemoryStore();
      const before = await appOf(store);
      for (const text of ["a", "b", "c"]) await before.append(text);
      await before.delivery.own();
      const first = await before.outbox.changeClient(before.outbox.client, 1, true);
      const second = await before.outbox.changeClient(first.to, kept, true);
      const after = await appOf(store, before.cursors);
      await after.append("d");
      await after.delivery.own();
      assert.deepEqual(after.texts, ["d"]);
      assert.deepEqual(namesOf(after.changes), [first, second]);
    });
  }

  for (const isDelivered of [true, false]) {
    const what = isDelivered ? "names are reported" : "entries are delivered";
    it(`come once and in order where they are moved while ${what}, whatever is being read`, async () => {
      for (let reads = 0; reads < 8; reads++) {
        const store = new MemoryStore();
        const app = await appOf(store);
        for (const text of ["a", "b", "c"]) await app.append(text);
        if (isDelivered) await app.delivery.own();
        const changes = [await app.outbox.changeClient(app.outbox.client, 1, true)];
        const read = store.read.bind(store);
        let left = reads;
        store.read = async (...of) => {
          const found = await read(...of);
          if (left-- === 0) changes.push(await app.outbox.changeClient(app.outbox.client, 0, true));
          return found;
        };
        await app.delivery.own();
        await app.append("d");
        await app.delivery.own();
        assert.deepEqual(app.texts, ["a", "b", "c", "d"], `moved after ${reads} reads`);
        assert.deepEqual(namesOf(app.changes), changes);
      }
    });
  }
});
