import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { RETRY_AFTER_MS } from "../../oplog/damaged-objects.ts";
import type { Listing } from "../../oplog/listing.ts";
import { ObjectDamaged } from "../../oplog/object-cache.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { HookedDriver } from "../support/drivers.ts";
import { listingsOn, storeEach } from "../support/logs.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const user = someFingerprint();
const step = (before: string, after: string) => ({
  before,
  after,
  apply: (listing: Listing) => listing,
});

describe("a listing in memory", () => {
  it("shows what was announced since a request has asked for the version, and is not read again", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const listings = listingsOn(driver, { ttl: 1000, version: async () => "1" });
    await listings.get(user);
    const { order } = listings.shown(user);
    listings.announced(user, step("1", "2"));
    listings.announced(user, step("2", "3"));
    for (const version of ["1", "2", "3"])
      await listings.get(user, { version, order, isMissingSome: false });
    assert.equal(driver.count("list"), 1);
  });

  it("shows what was announced before its version was known, and is not read again", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const listings = listingsOn(driver, {
      ttl: 1000,
      version: async () => {
        listings.announced(user, step("1", "2"));
        listings.announced(user, step("2", "3"));
        return "3";
      },
    });
    await listings.get(user);
    const { order } = listings.shown(user);
    await listings.get(user, { version: "3", order, isMissingSome: false });
    assert.equal(driver.count("list"), 1);
  });

  it("is read once for all who ask meanwhile, also where it is too large to be kept", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    const listings = listingsOn(driver, { ttl: 1000, maxRuns: 1, version: async () => "1" });
    const { held, go } = driver.hold("after", ({ kind }) => kind === "list");
    const first = listings.get(user);
    await held;
    listings.announced(user, step("1", "2"));
    const { order } = listings.shown(user);
    const second = listings.get(user, { version: "2", order, isMissingSome: false });
    go();
    assert.equal(await second, await first);
    assert.equal(driver.count("list"), 1);
  });

  it("is read again by its age where it lacks what is damaged, which nobody announces", async () => {
    const driver = new HookedDriver(new MemoryDriver());
    let time = 0;
    const now = () => time;
    const listings = listingsOn(driver, { ttl: 1000, now, version: async () => "1" });
    const client = newClient();
    await storeEach(driver, user, client, ["a"]);
    const [stored] = await driver.list(user);
    listings.damaged(user, new ObjectDamaged(stored?.name ?? ""));
    const next = async () => {
      const asked = { version: "1", order: listings.shown(user).order, isMissingSome: false };
      return (await listings.get(user, asked)).clients.get(client)?.next;
    };
    assert.equal(await next(), undefined);
    time = RETRY_AFTER_MS;
    assert.equal(await next(), 1);
  });
});
