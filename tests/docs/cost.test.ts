import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";
import {
  costOf,
  listsPerListing,
  objectsPerUser,
  operationsPerUser,
  PRICES,
  PROFILES,
  type Prices,
  type Profile,
  SETUPS,
  type Usage,
  usageOf,
} from "../../bench/cost/cost-model.ts";
import { packedClient } from "../../bench/cost/packing-model.ts";
import { LIMITS } from "../../oplog/compaction/planner.ts";
import { encodeSegment } from "../../oplog/segment.ts";
import { InstrumentedDriver } from "../../storage/instrumented.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { serveHere, sync } from "../support/http.ts";
import { commandFor, projectFolder } from "../support/process.ts";
import { newClient, newUser } from "../support/users.ts";

/**
 * Two devices that are always on, and 24 operations a day. A month has 365 / 12 days. Each device
 * has made 512 operations, and had its first 256 packed when it made the next one.
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
/** Segments stored in a month, of all users: 12 × 2 in 1024 ÷ 730 months. A LIST comes after each. */
const segments = (12 * 2 * 730) / 1024;
/** The bytes that are stored of one device. */
const stored =
  encodeSegment(newClient(), 0, Array<string>(256).fill("x".repeat(1000))).byteLength + 256 * 1000;

describe("the requests of the cost model", () => {
  it("has as many objects as compaction leaves, and a LIST for each 1000 of them", () => {
    assert.equal(operationsPerUser(profile), 1024);
    // Of each device a segment and, on average, 1 to 256 single operations.
    assert.equal(objectsPerUser(profile), 2 * (1 + 128.5));
    assert.equal(listsPerListing(profile), 1);
    assert.equal(usageOf(profile, "without caches").stored, 12 * 2 * stored);
    // With 10 devices, no one has enough to be packed.
    const spread = { ...profile, devicesPerUser: 10 };
    assert.equal(objectsPerUser(spread), 1020);
    assert.equal(listsPerListing(spread), 2);
    assert.equal(listsPerListing({ ...profile, operationsPerDay: 0 }), 1);
  });

  it("makes one PUT for each operation and each segment, whatever the caches do", () => {
    for (const setup of SETUPS) {
      const usage = usageOf(profile, setup);
      // 12 users × 24 × 365 ÷ 12
      assert.equal(round(usage.put), round(8760 + segments));
      assert.equal(round(usage.delete), 8760 / 2);
    }
  });

  it("without caches, lists for each poll, twice for each operation, and gets what is new", () => {
    const usage = usageOf(profile, "without caches");
    // Of 12 users in a month: 24 × 2 polls and 24 × 2 looks a day, and one first sync.
    assert.equal(round(usage.list), round(96 * 365 + 1 + segments));
    // Each operation once for the other device, half of them once more to pack them, and the
    // objects of one user for the new device.
    assert.equal(round(usage.get), 8760 + 8760 / 2 + 259);
    assert.equal(round(usage.sentByGet), (8760 + 8760 / 2) * 1000 + 2 * stored);
    assert.equal(round(usage.sentByList), round((96 * 365 + 1 + segments) * 259 * 400));
  });

  it("packs as the server does, and leaves what it leaves", async () => {
    const driver = new InstrumentedDriver(new MemoryDriver());
    const timing = { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 1_000_000 };
    const compaction = { limits: LIMITS, timing };
    const server = await serveHere({ OBJECT_CACHE_BYTES: "0" }, driver, compaction);
    try {
      const user = newUser().base64;
      const client = newClient();
      const payload = "x".repeat(20_000);
      // Full segments come of it, of 1 MiB, and single operations at the end.
      for (let index = 0; index < 120; index++) {
        await sync(server.url, {
          user,
          client_id: client,
          operation_index: index,
          sync_status: { [client]: index },
          payload,
        });
        await server.compacted();
      }
      const model = packedClient(120, payload.length);
      assert.equal(model.put, 2);
      assert.deepEqual(
        { ...driver.requests },
        { list: 1 + model.put, get: model.get, put: 120 + model.put, delete: model.delete },
      );
      const objects = await driver.list(fingerprintOf(user));
      assert.equal(
        objects.reduce((sum, { size }) => sum + size, 0),
        model.stored,
      );
      assert.equal(driver.bytes.read, model.sentByGet);
    } finally {
      await server.close();
    }
  });

  it("without caches, counts as the server does", async () => {
    const { url, close } = await serveHere({ LISTING_TTL: "0", OBJECT_CACHE_BYTES: "0" });
    try {
      const user = newUser().base64;
      const [a, b] = [newClient(), newClient()];
      await sync(url, { user, client_id: a, operation_index: 0, payload: "sealed" });
      assert.deepEqual(await asked(url), { list: 2, get: 0, put: 1 });
      await sync(url, { user, client_id: b });
      assert.deepEqual(await asked(url), { list: 3, get: 1, put: 1 });
      await sync(url, { user, client_id: b, sync_status: { [a]: 0 } });
      assert.deepEqual(await asked(url), { list: 4, get: 1, put: 1 });
    } finally {
      await close();
    }
  });

  it("with a warm cache, asks nothing for a poll and gets nothing twice", () => {
    const usage = usageOf(profile, "LISTING_TTL=forever");
    // One listing of each user, after the start.
    assert.equal(round(usage.list), round(12 + segments));
    // But to pack, and for a new device.
    assert.equal(round(usage.get), 8760 / 2 + 259);
  });

  it("with a time limit, lists once for each request, or once in that time if there are more", () => {
    assert.equal(round(usageOf(profile, "LISTING_TTL=30s").list), round(72 * 365 + 1 + segments));
    const busy = { ...profile, pollsPerHour: 1000 };
    assert.equal(
      round(usageOf(busy, "LISTING_TTL=30s").list),
      round(120 * 24 * 365 + 1 + segments),
    );
  });

  it("gets again what the payload cache did not keep until a device came back", () => {
    // 12 × 1256 bytes are written in an hour, so the cache keeps the last 4 hours.
    const small = { ...profile, hoursOnPerDay: 12, objectCacheBytes: 4 * 12 * 1256 };
    // Of 24 hours a device is off for 12, and comes too late for 8 of these.
    assert.equal(
      round(usageOf(small, "LISTING_TTL=forever").get),
      round(8760 / 3 + 8760 / 2 + 259),
    );
  });

  it("holds for caches that are large enough only", () => {
    const large = { ...profile, listingCacheRuns: 12 * (259 + 4) - 1 };
    assert.throws(() => usageOf(large, "LISTING_TTL=forever"), /LISTING_CACHE_RUNS/);
  });
});

describe("the prices of the cost model", () => {
  it("charges what is above the free allowances", () => {
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

  it("charges nothing for nothing", () => {
    for (const prices of PRICES) assert.equal(costOf(none, prices), 0);
  });
});

describe("npm run cost", () => {
  it("prints the tables of docs/cost.md", async () => {
    const [command, ...args] = commandFor("bench/cost/cost.ts");
    const { stdout } = await promisify(execFile)(command, args, { cwd: projectFolder });
    const document = readFileSync(join(projectFolder, "docs", "cost.md"), "utf8");
    const told = /^<!-- npm run cost -->\n\n(.*?)\n\n<!-- end -->$/ms.exec(document)?.[1];
    assert.equal(told, stdout.trimEnd());
    for (const { name } of PROFILES) assert.ok(told?.includes(name));
  });
});

function pricesOf(service: string): Prices {
  const found = PRICES.find((prices) => prices.service === service);
  assert.ok(found, service);
  return found;
}

/** What a server has asked of its storage so far. */
async function asked(url: string): Promise<Record<string, number>> {
  const metrics = await (await fetch(new URL("/metrics", url))).text();
  const count = (kind: string) =>
    Number(
      new RegExp(`^sync_storage_requests_total{kind="${kind}"} (\\d+)$`, "m").exec(metrics)?.[1],
    );
  return { list: count("list"), get: count("get"), put: count("put") };
}

/** Without the noise of floating point. */
function round(value: number): number {
  return Math.round(value * 1e6) / 1e6;
}
