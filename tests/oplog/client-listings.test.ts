/** Listings in which the objects of one client are listed again, before its append is refused. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import type { Listing } from "../../oplog/listing.ts";
import type { ListingCache } from "../../oplog/listing-cache.ts";
import { parseName } from "../../oplog/names.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { HookedDriver } from "../support/drivers.ts";
import { listingsOn, storeRun } from "../support/logs.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const client = newClient();
const nextOf = (listing: Listing) => listing.clients.get(client)?.next ?? 0;

describe("the objects of one client", () => {
  let user = someFingerprint();
  let time: number;
  let storage: MemoryDriver;
  let driver: HookedDriver;
  let listings: ListingCache;
  const put = (first: number, ...payloads: string[]) =>
    storeRun(storage, user, client, first, ...payloads);
  const isOfClient = ({ name }: { readonly name: string }) => name === `${user}.${client}.`;

  beforeEach(() => {
    user = someFingerprint();
    time = 1000;
    storage = new MemoryDriver();
    driver = new HookedDriver(storage);
    listings = listingsOn(driver, { ttl: 30_000, now: () => time });
  });

  it("are read afresh, and no later listing steps back behind them", async () => {
    const other = newClient();
    await storeRun(storage, user, other, 0, "other");
    await put(0, "zero");
    await listings.get(user);
    await put(1, "one");
    await storeRun(storage, user, other, 1, "not seen");
    const listing = await listings.freshOf(user, client);
    assert.deepEqual(
      driver.calls.map(({ name }) => name),
      [`${user}.`, `${user}.${client}.`],
    );
    assert.equal(listing.runs, 3);
    assert.equal(nextOf(listing), 2);
    assert.equal(listing.clients.get(other)?.next, 1);
    assert.equal(await listings.get(user), listing);
    // A load that began before shows less.
    time += 30_000;
    const { held, go } = driver.hold("after", ({ name }) => name === `${user}.`);
    const early = listings.get(user);
    await held;
    await put(2, "two");
    assert.equal(nextOf(await listings.freshOf(user, client)), 3);
    // Nor is it handed out to those who ask before it ends.
    const meanwhile = listings.get(user);
    go();
    await early;
    assert.equal(nextOf(await meanwhile), 3);
    assert.equal(nextOf(await listings.get(user)), 3);
  });

  it("are listed again while they show a new hole, and at last with the hole", async () => {
    for (const heals of [true, false]) {
      user = someFingerprint();
      await put(0, "zero");
      await listings.get(user);
      await put(3, "three");
      const before = driver.count("list");
      // A list may miss both a segment and the objects in it.
      driver.after = async (call) => {
        if (isOfClient(call) && heals) await put(1, "one", "two");
      };
      const listing = await listings.freshOf(user, client);
      const holes = heals ? [] : [{ first: 1, last: 2 }];
      assert.deepEqual(listing.clients.get(client)?.holes, holes);
      assert.equal(driver.count("list") - before, 2);
    }
  });

  it("are listed again where the log was compacted meanwhile", async () => {
    for (const [index, payload] of ["zero", "one", "two"].entries()) await put(index, payload);
    const before = await listings.get(user);
    const runs = before.clients.get(client)?.runs.slice(0, 2) ?? [];
    const { held, go } = driver.hold("after", isOfClient);
    const reading = listings.freshOf(user, client);
    await held;
    const name = parseName(await put(0, "zero", "one"));
    assert.ok(name !== undefined);
    const segment = { ...name, size: 100 };
    listings.applyCompaction(user, client, runs, [segment]);
    go();
    const found = (await reading).clients.get(client)?.runs ?? [];
    assert.ok(found.some(({ first, last }) => first === 0 && last === 1));
  });
});
