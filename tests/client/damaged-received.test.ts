/** A device whose store no longer has what it has received: the server sends it again. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { StoreDamaged } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { toBase64url } from "../../protocol/base64.ts";
import { AppData, offline, serverWith, syncOnce, textsOn } from "../support/app-data.ts";
import { tagOf } from "../support/sealed.ts";
import { until } from "../support/socket.ts";
import { StoppedClock } from "../support/stopped-clock.ts";
import { entriesOn, textsOf, useApps } from "../support/sync-app.ts";

const apps = useApps();

/** A store into which operations of two clients were received, with the positions after them. */
async function received() {
  const { fetch, ids } = await serverWith(apps, ["zero", "one", "two", "three"], ["other"]);
  const [id = ""] = ids;
  const [store, data] = [new MemoryStore(), new AppData()];
  await syncOnce(apps, fetch, store, data);
  const { payloads } = await store.readReceived(id, 0, Number.POSITIVE_INFINITY);
  return { fetch, store, cursors: [...data.cursors.values()], id, payloads };
}

/** Has a store return other payloads of a client id, until that is forgotten. */
function damageIn(store: MemoryStore, id: string, damaged: readonly string[]): void {
  const [readReceived, forget] = [store.readReceived.bind(store), store.forget.bind(store)];
  store.readReceived = async (client, first, characters) => {
    if (client === id) return { first, payloads: damaged.slice(first) };
    return readReceived(client, first, characters);
  };
  store.forget = async (client, start) => {
    if (client === id) store.readReceived = readReceived;
    await forget(client, start);
  };
}

const damages: readonly [string, (payloads: readonly string[]) => readonly string[]][] = [
  ["is lost", (payloads) => payloads.toSpliced(2, 1)],
  ["is lost at the end", (payloads) => payloads.slice(0, 2)],
  ["is of another place", (payloads) => payloads.with(2, payloads[1] ?? "")],
  ["is garbage", (payloads) => payloads.with(2, "AQAA")],
];

describe("what a device has received", () => {
  for (const [what, damage] of damages) {
    it(`is downloaded again, and stored as a whole, where a part of it ${what}`, async () => {
      const { fetch, store, cursors, id, payloads } = await received();
      damageIn(store, id, damage(payloads));
      const [zero = ""] = payloads;
      // The app has the first one.
      const known = cursors
        .filter(({ client }) => client === id)
        .map((one) => ({ ...one, index: 0, tag: toBase64url(tagOf(zero)) }));
      const app = await apps.open(fetch, {
        store,
        cursors: [...cursors.filter(({ client }) => client !== id), ...known],
      });
      await app.client.sync();
      assert.deepEqual(app.received, ["one", "two", "three"]);
      assert.deepEqual(app.client.refusals, []);
      assert.deepEqual((await textsOn(app)).toSorted(), ["one", "other", "three", "two", "zero"]);
      await app.client.close();
      const again = await apps.open(offline, { store, cursors: [] });
      await until(() => again.received.length === 5);
      assert.deepEqual(again.received.toSorted(), ["one", "other", "three", "two", "zero"]);
    });

    it(`cannot be read where a part of it ${what}, and can be after the next sync`, async () => {
      const { fetch, store, id, payloads } = await received();
      damageIn(store, id, damage(payloads));
      const app = await apps.open(fetch, { store });
      await assert.rejects(textsOn(app), StoreDamaged);
      await app.client.sync();
      assert.deepEqual((await textsOn(app)).toSorted(), ["one", "other", "three", "two", "zero"]);
      assert.deepEqual(app.received, [], "it was delivered before");
      assert.deepEqual(app.client.refusals, []);
    });
  }

  it("is kept as far as it can be read, until the server sends it again", async () => {
    const { fetch, store, id, payloads } = await received();
    damageIn(store, id, payloads.with(2, "AQAA"));
    let isOnline = false;
    const { client } = await apps.open(
      (request) => (isOnline ? fetch(request) : offline(request)),
      { store, clock: new StoppedClock() },
    );
    for (let tries = 0; tries < 3; tries++) {
      const texts: string[] = [];
      const read = async () => {
        for await (const some of client.entries()) texts.push(...textsOf(some));
      };
      await assert.rejects(read, StoreDamaged);
      assert.deepEqual(
        texts.filter((text) => text !== "other"),
        ["zero", "one"],
      );
      assert.equal((await store.load()).cursors.length, 2);
      const before = client.status;
      client.sync().catch(() => undefined);
      await until(() => client.status !== before);
    }
    isOnline = true;
    await client.sync();
    assert.deepEqual(textsOf(await entriesOn(client)).toSorted(), [
      "one",
      "other",
      "three",
      "two",
      "zero",
    ]);
  });
});
