import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import { costOf, PRICES, type Prices } from "../../bench/cost/prices.ts";
import { PROFILES, type Profile, SETUPS, type Setup } from "../../bench/cost/profiles.ts";
import { type Usage, UsageModel } from "../../bench/cost/usage.ts";
import { encodeSegment } from "../../oplog/segment.ts";
import { generated, read } from "../support/documents.ts";
import { commandFor, projectFolder } from "../support/process.ts";
import { newClient } from "../support/users.ts";

/**
 * Two devices that are always on, and 24 operations a day. A month has 365 / 12 days. Each device
 * created 512 operations. The first 256 were packed when it created the next one.
 */
const profile: Profile = {
  name: "by hand",
  users: 12,
  devicesPerUser: 2,
  operationsPerDay: 24,
  hoursOnPerDay: 24,
  pollsPerHour: 1,
  payloadBytes: 1000,
  monthsStored: 1024 / 730,
  newDevicesPerYear: 1,
  listingCacheRuns: 1_000_000,
  objectCacheBytes: 64 * 2 ** 20,
};

const none: Usage = { put: 0, get: 0, list: 0, delete: 0, stored: 0, sentByGet: 0, sentByList: 0 };
/** Segments that all users get in a month: 12 × 2 in 1024 ÷ 730 months. Two LISTs follow each. */
const segments = (12 * 2 * 730) / 1024;
/** The scan for idle logs after a start: all users, in 64 parts of fewer than 1000 objects. */
const scan = 64;
/** The bytes stored for one device. */
const stored =
  encodeSegment(newClient(), 0, Array<string>(256).fill("x".repeat(1000))).byteLength + 256 * 1000;

describe("the usage model", () => {
  it("counts the objects that compaction leaves, and a LIST for each 1000 of them", () => {
    const model = new UsageModel(profile);
    assert.equal(model.operationsPerUser, 1024);
    // A segment of each device and, on average, 1 to 256 single operations.
    assert.equal(model.objectsPerUser, 2 * (1 + 128.5));
    assert.equal(model.listsPerListing, 1);
    assert.equal(model.usage("without caches").stored, 12 * 2 * stored);
    // With 10 devices, none has enough for a segment.
    const spread = new UsageModel({ ...profile, devicesPerUser: 10 });
    assert.equal(spread.objectsPerUser, 1020);
    assert.equal(spread.listsPerListing, 2);
    assert.equal(new UsageModel({ ...profile, operationsPerDay: 0 }).listsPerListing, 1);
  });

  it("counts one PUT for each operation and each segment, with any caches", () => {
    for (const setup of SETUPS) {
      const usage = usageOf(profile, setup);
      // 12 users × 24 × 365 ÷ 12
      assert.equal(round(usage.put), round(8760 + segments));
      assert.equal(round(usage.delete), 8760 / 2);
    }
  });

  it("counts a LIST for each poll and two for each operation, and a GET for each delivery, without caches", () => {
    const usage = usageOf(profile, "without caches");
    // Of 12 users in a month: 24 × 2 polls and 24 × 2 listings for operations a day, and a first sync.
    assert.equal(round(usage.list), round(96 * 365 + 1 + 2 * segments + scan));
    // Each operation once for the other device, half of them once more for compaction, and the
    // objects of one user for the new device.
    assert.equal(round(usage.get), 8760 + 8760 / 2 + 259);
    assert.equal(round(usage.sentByGet), (8760 + 8760 / 2) * 1000 + 2 * stored);
    assert.equal(round(usage.sentByList), round((96 * 365 + 1 + 2 * segments + 12) * 259 * 400));
  });

  it("counts no request for a poll and no second GET, with a warm cache", () => {
    const usage = usageOf(profile, "LISTING_TTL=forever");
    // One listing of each user after the start.
    assert.equal(round(usage.list), round(12 + 2 * segments + scan));
    // Only for compaction, and for a new device.
    assert.equal(round(usage.get), 8760 / 2 + 259);
  });

  it("counts a LIST for each request, but at most one in LISTING_TTL", () => {
    assert.equal(
      round(usageOf(profile, "LISTING_TTL=30s").list),
      round(72 * 365 + 1 + 2 * segments + scan),
    );
    const busy = { ...profile, pollsPerHour: 1000 };
    assert.equal(
      round(usageOf(busy, "LISTING_TTL=30s").list),
      round(120 * 24 * 365 + 1 + 2 * segments + scan),
    );
  });

  it("counts a GET for a payload that the cache dropped before a device came back", () => {
    // 12 × 1256 bytes are written in an hour, so the cache holds the last 4 hours.
    const small = { ...profile, hoursOnPerDay: 12, objectCacheBytes: 4 * 12 * 1256 };
    // A device is off for 12 of 24 hours, and comes too late for 8 of these.
    assert.equal(
      round(usageOf(small, "LISTING_TTL=forever").get),
      round(8760 / 3 + 8760 / 2 + 259),
    );
  });

  it("counts for 10,000 users, two servers and Redis at most a hundredth of the LISTs of a server whose devices poll", () => {
    const large = PROFILES.find(({ users }) => users === 10_000);
    assert.ok(large);
    const share =
      usageOf(large, "two servers with Redis").list / usageOf(large, "LISTING_TTL=30s").list;
    assert.ok(share <= 0.01);
    const sentence = `the pair makes ${(100 * share).toFixed(1)} % of the LISTs`;
    assert.ok(read("docs/cost.md").includes(sentence), sentence);
  });

  it("throws if the listing cache is too small", () => {
    const large = { ...profile, listingCacheRuns: 12 * (259 + 4 + 2 * 2) - 1 };
    assert.throws(() => usageOf(large, "LISTING_TTL=forever"), /LISTING_CACHE_RUNS/);
  });
});

describe("the cost of a month", () => {
  it("charges usage above the free allowances", () => {
    const usage = {
      put: 1_000_000,
      list: 2_000_000,
      delete: 5_000_000,
      get: 20_000_000,
      stored: 100e9,
      sentByGet: 350e9,
      sentByList: 50e9,
    };
    // 100 × 0.023 + 3 × 5 + 20 × 0.4, and elsewhere (400 - 100) × 0.09
    assert.equal(round(costOf(usage, pricesOf("AWS S3, server in its region"))), 25.3);
    assert.equal(round(costOf(usage, pricesOf("AWS S3, server elsewhere"))), 52.3);
    // 90 × 0.015 + 2 × 4.50 + 10 × 0.36
    assert.equal(round(costOf(usage, pricesOf("Cloudflare R2"))), 13.95);
    // 90 × 0.00695 + (350 - 300) × 0.01
    assert.equal(round(costOf(usage, pricesOf("Backblaze B2"))), 1.1255);
  });

  it("is 0 for no usage", () => {
    for (const prices of PRICES) assert.equal(costOf(none, prices), 0);
  });
});

describe("npm run cost", () => {
  it("prints the tables of docs/cost.md", async () => {
    const [command, ...args] = commandFor("bench/cost/cost.ts");
    const { stdout } = await promisify(execFile)(command, args, { cwd: projectFolder });
    assert.equal(generated(read("docs/cost.md"), "cost"), stdout.trim());
    for (const { name } of PROFILES) assert.ok(stdout.includes(name));
  });
});

function usageOf(profile: Profile, setup: Setup): Usage {
  return new UsageModel(profile).usage(setup);
}

function pricesOf(service: string): Prices {
  const found = PRICES.find((prices) => prices.service === service);
  assert.ok(found, service);
  return found;
}

/** Removes rounding errors. */
function round(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
