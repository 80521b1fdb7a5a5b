import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import type { Listing } from "../../oplog/listing.ts";
import { ListingCache } from "../../oplog/listing-cache.ts";
import { formatName, type ObjectName } from "../../oplog/names.ts";
import { md5Of, StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { gate, HookedDriver } from "../support/drivers.ts";
import { until } from "../support/socket.ts";
import { RecordingTelemetry } from "../support/telemetry.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const body = new TextEncoder().encode("payload");
const md5 = md5Of(body);
const client = newClient();

describe("the listing cache", () => {
  let user = someFingerprint();
  let time: number;
  let storage: MemoryDriver;
  let driver: HookedDriver;
  let listings: ListingCache;
  let telemetry: RecordingTelemetry;

  const cacheOver = (options: { ttl?: number; maxRuns?: number; time?: () => number }) => {
    telemetry = new RecordingTelemetry();
    const now = () => time;
    return new ListingCache({ driver, ttl: 30_000, maxRuns: 1000, now, telemetry, ...options });
  };
  const operation = (index: number): ObjectName => ({
    user,
    client,
    first: index,
    last: index,
    md5,
  });
  /** Stores an operation as another process would. */
  const put = (index: number) => storage.put(formatName(operation(index)), body);
  /** Stores an operation as this process does. */
  const append = async (index: number) => {
    await driver.put(formatName(operation(index)), body);
    listings.appended(operation(index), body.byteLength);
  };
  it("caches no listing that was being read when the user was invalidated", async () => {
    const { opened, open } = gate();
    driver.before = () => opened;
    const reading = listings.get(user);
    await until(() => driver.count("list") === 1);
    listings.invalidate(user);
    open();
    await reading;
    await listings.get(user);
    assert.equal(driver.count("list"), 2);
    await listings.get(user);
    assert.equal(driver.count("list"), 2);
  });

  const nextOf = (listing: Listing) => listing.clients.get(client)?.next ?? 0;

  beforeEach(() => {
    user = someFingerprint();
    time = 1000;
    storage = new MemoryDriver();
    driver = new HookedDriver(storage);
    listings = cacheOver({});
  });

  it("asks storage once, and again when a listing is older than LISTING_TTL", async () => {
    await put(0);
    assert.equal(nextOf(await listings.get(user)), 1);
    await put(1);
    time += 29_999;
    assert.equal(nextOf(await listings.get(user)), 1);
    assert.equal(driver.count("list"), 1);
    time += 1;
    assert.equal(nextOf(await listings.get(user)), 2);
    assert.equal(driver.count("list"), 2);
  });

  it("counts the time in which the machine slept, and lists no less often where the clock is set back", async () => {
    let unixTime = 1e12;
    listings = cacheOver({ time: () => unixTime });
    await listings.get(user);
    unixTime += 30_000;
    await listings.get(user);
    assert.equal(driver.count("list"), 2);
    unixTime -= 1e9;
    time += 29_999;
    await listings.get(user);
    assert.equal(driver.count("list"), 2);
    time += 1;
    await listings.get(user);
    assert.equal(driver.count("list"), 3);
  });

  it("counts a listing's age from the moment its load began", async () => {
    driver.after = () => {
      time += 10_000;
    };
    await listings.get(user);
    await put(0);
    time += 20_000;
    assert.equal(nextOf(await listings.get(user)), 1);
  });

  it("uses a listing that took long for as long again, and at most for LISTING_TTL, from its end", async () => {
    for (const [took, used] of [
      [20_000, 20_000],
      [30_000, 30_000],
      [100_000, 30_000],
    ] as const) {
      user = someFingerprint();
      listings = cacheOver({});
      let isFirst = true;
      driver.after = () => {
        if (isFirst) time += took;
        isFirst = false;
      };
      const { length } = driver.calls;
      const listing = await listings.get(user);
      assert.equal(await listings.get(user), listing);
      assert.equal(driver.calls.length, length + 1);
      time += used - 1;
      await put(0);
      // From here on the next one is read, and this one is still used.
      assert.equal(nextOf(await listings.get(user)), 0);
      await until(() => nextOf(listings.current(user) ?? listing) === 1);
      assert.equal(driver.calls.length, length + 2);
    }
  });

  it("reads the next listing while the last one is used, so that nobody waits for it", async () => {
    driver.after = () => {
      time += 5_000;
    };
    await listings.get(user);
    driver.after = () => undefined;
    await put(0);
    time += 19_999;
    assert.equal(nextOf(await listings.get(user)), 0);
    assert.equal(driver.count("list"), 1);
    const { held, go } = driver.hold("before", ({ kind }) => kind === "list");
    time += 1;
    assert.equal(nextOf(await listings.get(user)), 0);
    await held;
    time += 4_999;
    assert.equal(nextOf(await listings.get(user)), 0);
    assert.equal(driver.count("list"), 2);
    time += 1;
    const late = listings.get(user);
    go();
    assert.equal(nextOf(await late), 1);
    assert.equal(driver.count("list"), 2);
  });

  it("reads the next listing for those who take the last one at once, too, and uses a long one as long", async () => {
    driver.after = () => {
      time += 20_000;
    };
    const listing = await listings.get(user);
    driver.after = () => undefined;
    time += 9_999;
    assert.equal(listings.recent(user), listing);
    assert.equal(driver.count("list"), 1);
    const { held, go } = driver.hold("before", ({ kind }) => kind === "list");
    time += 1;
    assert.equal(listings.recent(user), listing);
    await held;
    time += 9_999;
    assert.equal(listings.recent(user), listing);
    assert.equal(driver.count("list"), 2);
    time += 1;
    assert.equal(listings.recent(user), undefined);
    go();
  });

  it("uses the last listing as long as before where the next one cannot be read", async () => {
    driver.after = () => {
      time += 5_000;
    };
    await listings.get(user);
    driver.before = () => {
      throw new StorageUnavailable("not now");
    };
    time += 20_000;
    assert.equal(nextOf(await listings.get(user)), 0);
    time += 5_000;
    await assert.rejects(listings.get(user), StorageUnavailable);
  });

  it("lists every time with a LISTING_TTL of 0, and once with forever", async () => {
    listings = cacheOver({ ttl: 0 });
    await listings.get(user);
    await listings.get(user);
    assert.equal(driver.count("list"), 2);
    listings = cacheOver({ ttl: Number.POSITIVE_INFINITY });
    await listings.get(user);
    time += 1e12;
    await listings.get(user);
    assert.equal(driver.count("list"), 3);
  });

  it("shares a running load among all callers", async () => {
    const { opened, open } = gate();
    driver.before = () => opened;
    const shared = Promise.all([listings.get(user), listings.get(user), listings.get(user)]);
    time += 10;
    const late = listings.get(user);
    open();
    const [first, second, third] = await shared;
    assert.equal(driver.count("list"), 1);
    assert.ok(first === second && second === third && third === (await late));
  });

  it("lists again for a fresh listing, even while an earlier load is running", async () => {
    const { held, go } = driver.hold("after", ({ kind }) => kind === "list");
    const early = listings.get(user);
    // Storage has listed, but its answer is still on its way.
    await held;
    await put(0);
    time += 1;
    const fresh = [listings.fresh(user), listings.fresh(user)];
    go();
    assert.equal(nextOf(await early), 0);
    for (const listing of fresh) assert.equal(nextOf(await listing), 1);
    assert.equal(driver.count("list"), 2);
  });

  it("never serves a listing that is older than one it handed out", async () => {
    await put(0);
    await listings.get(user);
    await put(1);
    const { held, go } = driver.hold("before", ({ kind }) => kind === "list");
    const fresh = listings.fresh(user);
    await held;
    // The load may have listed too early for what is packed meanwhile, so it is not cached.
    listings.applyCompaction(user, newClient(), []);
    go();
    assert.equal(nextOf(await fresh), 2);
    assert.equal(nextOf(await listings.get(user)), 2);
    assert.equal(nextOf(await listings.getStale(user)), 2);
  });

  it("keeps a listing that is held, however small the cache is, and counts appends in it", async () => {
    listings = cacheOver({ maxRuns: 1 });
    await listings.holding(user, async () => {
      const listing = await listings.get(user);
      assert.equal(listings.current(user), listing);
      await append(0);
      assert.equal(listings.current(user), listing);
      assert.equal(nextOf(listing), 1);
      listings.invalidate(user);
      assert.equal(listings.current(user), undefined);
    });
    await listings.get(user);
    assert.equal(listings.current(user), undefined);
  });

  it("adds an append of its own process to the cached listing", async () => {
    await listings.get(user);
    await append(0);
    await append(1);
    assert.equal(nextOf(await listings.get(user)), 2);
    assert.equal(driver.count("list"), 1);
  });

  it("does not lose an append that is stored during a load, whatever storage has listed", async () => {
    for (const moment of ["before", "after"] as const) {
      user = someFingerprint();
      await put(0);
      const { held, go } = driver.hold(moment, ({ kind }) => kind === "list");
      const load = listings.get(user);
      await held;
      await append(1);
      await append(2);
      go();
      assert.equal(nextOf(await load), 3, moment);
      assert.equal(nextOf(await listings.get(user)), 3, moment);
      assert.equal((await listings.get(user)).runs, 3, moment);
    }
  });

  it("does not lose an append that is stored in the moment in which a load ends", async () => {
    // Storage has listed before the put, and answers this many microtasks after it.
    for (let turns = 0; turns < 12; turns++) {
      user = someFingerprint();
      await put(0);
      await listings.get(user);
      const { held, go } = driver.hold("after", ({ kind }) => kind === "list");
      const load = listings.fresh(user);
      await held;
      await storage.put(formatName(operation(1)), body);
      go();
      for (let i = 0; i < turns; i++) await Promise.resolve();
      listings.appended(operation(1), body.byteLength);
      await load;
      driver.after = () => undefined;
      assert.equal(nextOf(await listings.get(user)), 2, `${turns} turns`);
    }
  });

  it("sorts in an append that is stored during a load when storage listed only a later one", async () => {
    // A folder that is read while files are renamed into it may show the second and not the first.
    const { held, go } = driver.hold("before", ({ kind }) => kind === "list");
    const load = listings.get(user);
    await held;
    listings.appended(operation(0), body.byteLength);
    await append(1);
    go();
    const listing = await load;
    assert.equal(nextOf(listing), 2);
    assert.deepEqual(listing.clients.get(client)?.holes, []);
  });

  it("drops its listing when an append does not follow its last operation", async () => {
    await put(0);
    await listings.get(user);
    await put(1);
    await append(2);
    assert.equal(nextOf(await listings.get(user)), 3);
    assert.equal(driver.count("list"), 2);
  });

  it("adds no append that the listing shows already", async () => {
    await put(0);
    await listings.get(user);
    await append(0);
    assert.equal((await listings.get(user)).runs, 1);
    assert.equal(driver.count("list"), 1);
  });

  it("fails all callers of a failed load, and tries again for the next", async () => {
    driver.before = () => {
      throw new StorageUnavailable("not now");
    };
    const shared = [listings.get(user), listings.get(user)];
    for (const load of shared) await assert.rejects(load, StorageUnavailable);
    driver.before = () => undefined;
    assert.equal(nextOf(await listings.get(user)), 0);
    assert.equal(driver.count("list"), 2);
  });

  it("caches no more runs than maxRuns, and evicts the least recently used", async () => {
    listings = cacheOver({ maxRuns: 48 });
    const users = Array.from({ length: 5 }, () => someFingerprint());
    for (user of users) {
      for (let index = 0; index < 8; index++) await put(index);
      assert.equal(nextOf(await listings.get(user)), 8);
      assert.ok(telemetry.value("listing_cache_runs") <= 48);
    }
    for (user of users.toReversed()) assert.equal(nextOf(await listings.get(user)), 8);
    assert.ok(driver.count("list") > users.length);
    assert.ok(driver.count("list") < 2 * users.length);
  });

  it("counts the runs that are appended to a cached listing", async () => {
    listings = cacheOver({ maxRuns: 20 });
    await listings.get(user);
    for (let index = 0; index < 30; index++) await append(index);
    assert.ok(telemetry.value("listing_cache_runs") <= 20);
    assert.equal(nextOf(await listings.get(user)), 30);
  });

  it("counts the clients of a listing, which take memory however few runs they have", async () => {
    listings = cacheOver({ maxRuns: 100 });
    for (let client = 0; client < 40; client++) {
      const name = formatName({ user, client: newClient(), first: 0, last: 0, md5: md5Of(body) });
      await storage.put(name, body);
    }
    await listings.get(user);
    assert.equal(telemetry.value("listing_cache_runs"), 0);
    await listings.get(user);
    assert.equal(driver.count("list"), 2);
  });

  it("shows holes: the next index is that of the first hole", async () => {
    for (const index of [0, 1, 4, 5, 8]) await put(index);
    await storage.put(`${user}.not-an-operation`, body);
    const listing = await listings.get(user);
    const sequence = listing.clients.get(client);
    assert.equal(sequence?.next, 2);
    assert.deepEqual(sequence?.holes, [
      { first: 2, last: 3 },
      { first: 6, last: 7 },
    ]);
    assert.deepEqual(sequence?.above(-1), { first: 0, last: 1 });
    assert.equal(sequence?.above(1), undefined);
    assert.deepEqual(sequence?.above(3), { first: 4, last: 5 });
    assert.equal(sequence?.above(8), undefined);
    assert.equal(listing.unrecognized, 1);
  });
});
