/** A user with very many objects: others are answered meanwhile, and storage is listed once. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { Listing } from "../../oplog/listing.ts";
import { formatName, type ObjectName } from "../../oplog/names.ts";
import type { StoredObject } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { gate, HookedDriver } from "../support/drivers.ts";
import { listingsOn, logOver, objectsOn } from "../support/logs.ts";
import { turnsDuring, whileTimePasses } from "../support/turns-during.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const COUNT = 50_000;
const md5 = "0".repeat(32);
const client = newClient();
const user = someFingerprint();
const nameOf = (first: number, last = first): ObjectName => ({ user, client, first, last, md5 });
const listed = Array.from({ length: COUNT }, (_, index) => ({
  name: formatName(nameOf(index)),
  size: 1,
}));

/** Lists the many objects of one user at once. */
class ManyObjects extends MemoryDriver {
  override async list(prefix: string): Promise<StoredObject[]> {
    return prefix === `${user}.` ? listed : super.list(prefix);
  }
}

describe("a user with very many objects", () => {
  let driver: HookedDriver;
  const open = (options: { ttl?: number; maxRuns?: number } = {}) =>
    listingsOn(driver, { ttl: 30_000, maxRuns: 1e6, ...options });

  beforeEach(() => {
    driver = new HookedDriver(new ManyObjects());
  });

  it("lets others be answered while the names are parsed, and is listed once", async () => {
    const listings = open();
    await whileTimePasses(async () => {
      let isListed = false;
      const large = listings.get(user).finally(() => {
        isListed = true;
      });
      const small = await listings.get(someFingerprint());
      assert.ok(small.isEmpty && !isListed);
      assert.equal((await large).runs, COUNT);
      assert.equal(await listings.get(user), await large);
    });
    assert.equal(driver.count("list"), 2);
  });

  it("lets others be answered while what a new device lacks is counted", async () => {
    const listings = open();
    const log = logOver(listings, objectsOn(driver));
    await listings.get(user);
    const turns = await turnsDuring(async () => {
      assert.equal((await log.read(user, new Map())).count, COUNT);
    });
    assert.ok(turns > 1);
  });

  it("keeps the listing that was read while this process appended and packed", async () => {
    for (const moment of ["before", "after"] as const) {
      driver = new HookedDriver(new ManyObjects());
      const listings = open();
      const { held, go } = driver.hold(moment, ({ kind }) => kind === "list");
      const load = listings.get(user);
      await held;
      listings.appended(nameOf(COUNT), 1);
      const packed = Array.from({ length: 1000 }, (_, i) => ({ ...nameOf(i), size: 1 }));
      listings.applyCompaction(user, client, packed, [{ ...nameOf(0, 999), size: 99 }]);
      listings.marked(user, (listing) => listing.markedSigned());
      go();
      const listing = await load;
      assert.equal(listing.runs, COUNT + 1 - 1000 + 1);
      assert.equal(listing.clients.get(client)?.next, COUNT + 1);
      assert.deepEqual(listing.clients.get(client)?.overlaps(), []);
      assert.ok(listing.signed);
      assert.equal(await listings.get(user), listing);
      assert.equal(driver.count("list"), 1);
    }
  });

  it("keeps the listing that was read while this process appended after each turn", async () => {
    const listings = open();
    const load = listings.get(user);
    let next = COUNT;
    for (const done = load.then(() => true); ; next++) {
      listings.appended(nameOf(next), 1);
      if (await Promise.race([done, setImmediate(false)])) break;
    }
    assert.equal((await listings.get(user)).clients.get(client)?.next, next + 1);
    assert.equal(driver.count("list"), 1);
  });

  it("shows the appends of this process where they do not follow what storage listed", async () => {
    const other = newClient();
    const listings = open();
    const { opened, open: go } = gate();
    driver.before = () => opened;
    const load = listings.get(user);
    for (const first of [1, 0]) listings.appended({ ...nameOf(first), client: other }, 1);
    go();
    assert.equal((await load).clients.get(other)?.next, 2);
  });

  it("parses to the same listing at once and in slices", async () => {
    const marked = [
      ...listed.slice(0, 5),
      { name: `${user}.erased.0000000000000007`, size: 0 },
      { name: `${user}.erased.0000000000000009`, size: 0 },
      { name: `${user}.signed`, size: 0 },
      { name: `${user}.unknown`, size: 0 },
    ];
    for (const objects of [[], listed.slice(0, 100), marked]) {
      assert.deepEqual(factsOf(await Listing.inSlices(objects)), factsOf(new Listing(objects)));
    }
  });
});

function factsOf(listing: Listing): unknown {
  const { clients, erasedAt, leftovers, signed, unrecognized, runs, footprint } = listing;
  const sequences = [...clients].map(([client, { runs }]) => [client, runs]);
  return { sequences, erasedAt, leftovers, signed, unrecognized, runs, footprint };
}
