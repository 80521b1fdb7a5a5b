/** The usage model of `npm run cost` against what real servers ask of storage. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { compactedClient } from "../../bench/cost/compaction.ts";
import type { Profile } from "../../bench/cost/profiles.ts";
import { UsageModel, WAIT } from "../../bench/cost/usage.ts";
import { MemoryHub } from "../../cluster/memory.ts";
import { SCAN_LISTS } from "../../oplog/compaction/idle-logs.ts";
import { LIMITS } from "../../oplog/compaction/planner.ts";
import { readConfig } from "../../server/config.ts";
import { createHandler } from "../../server/handler.ts";
import { createLogger } from "../../server/logger.ts";
import { InstrumentedDriver } from "../../storage/instrumented.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { serveHere, sync } from "../support/http.ts";
import { metricOf } from "../support/metrics.ts";
import { NO_LIMITS } from "../support/process.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser } from "../support/users.ts";

/** Three devices of one user, which wait for news in the same hour of each day. */
const profile: Profile = {
  name: "an hour a day",
  users: 1,
  devicesPerUser: 3,
  operationsPerDay: 6,
  hoursOnPerDay: 1,
  pollsPerHour: 0,
  payloadBytes: 1000,
  monthsStored: 1,
  newDevicesPerYear: 0,
  listingCacheRuns: 1_000_000,
  objectCacheBytes: 64 * 2 ** 20,
};

const DAYS = 365 / 12;

describe("the usage model, beside real servers", () => {
  const timing = { debounce: 0, maxDelay: 0, deleteDelay: 1, backoff: 1_000_000 };
  const compaction = { limits: LIMITS, timing };

  it("compacts as the server does: the same requests, the same objects", async () => {
    const driver = new InstrumentedDriver(new MemoryDriver());
    const server = await serveHere({ OBJECT_CACHE_BYTES: "0" }, driver, compaction);
    try {
      const user = newUser().base64;
      const client = newClient();
      const payload = "x".repeat(20_000);
      // This makes full segments of 1 MiB, and leaves single operations at the end.
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
      const model = compactedClient(120, payload.length);
      assert.equal(model.put, 2);
      await until(() => driver.requests.delete === model.delete);
      assert.deepEqual(
        { ...driver.requests },
        { list: 1 + 2 * model.put, get: model.get, put: 120 + model.put, delete: model.delete },
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

  it("counts as the server does, without caches", async () => {
    const { url, close } = await serveHere({ LISTING_TTL: "0", OBJECT_CACHE_BYTES: "0" });
    try {
      const user = newUser().base64;
      const [a, b] = [newClient(), newClient()];
      await sync(url, { user, client_id: a, operation_index: 0, payload: "sealed" });
      assert.deepEqual(await requestsOf(url), { list: 2, get: 0, put: 1 });
      await sync(url, { user, client_id: b });
      assert.deepEqual(await requestsOf(url), { list: 3, get: 1, put: 1 });
      await sync(url, { user, client_id: b, sync_status: { [a]: 0 } });
      assert.deepEqual(await requestsOf(url), { list: 4, get: 1, put: 1 });
    } finally {
      await close();
    }
  });

  it("counts a LIST in LISTING_TTL while devices wait, and with Redis one on each server, as the servers do", async () => {
    const model = new UsageModel(profile);
    const { operationsPerDay } = profile;

    const alone = await anHour(1, operationsPerDay);
    const most = Math.round((model.usage("waiting").list - SCAN_LISTS) / DAYS);
    assert.equal(most, 120);
    // Three devices look every 25 / 3 seconds, so a list is used for up to so much longer.
    assert.ok(alone.list <= most && alone.list >= most * 0.8, `${alone.list} of ${most}`);
    assert.deepEqual([alone.put, alone.get], [6, 0]);

    const together = await anHour(2, operationsPerDay);
    const usage = model.usage("two servers with Redis");
    assert.equal(together.list, usage.list - 2 * SCAN_LISTS);
    assert.equal(together.get, Math.round((usage.get - model.usage("waiting").get) / DAYS));
    assert.deepEqual([together.list, together.put, together.get], [2, 6, 6]);
  });

  it("compacts once, and not on each server", async () => {
    const driver = new InstrumentedDriver(new MemoryDriver());
    const hub = new MemoryHub();
    const settings = { OBJECT_CACHE_BYTES: "0" };
    const open = () => serveHere(settings, driver, compaction, hub.join());
    const [one, other] = [await open(), await open()];
    try {
      const user = newUser().base64;
      const [client, reader] = [newClient(), newClient()];
      const payload = "x".repeat(20_000);
      for (let index = 0; index < 60; index++) {
        const sync_status = { [client]: index };
        const append = { user, client_id: client, operation_index: index, sync_status, payload };
        assert.equal((await sync(one.url, append)).status, 200);
        const poll = { user, client_id: reader, sync_status };
        assert.equal((await sync(other.url, poll)).operations.length, 0);
        await Promise.all([one.compacted(), other.compacted()]);
      }
      const model = compactedClient(60, payload.length);
      assert.equal(model.put, 1);
      await until(() => driver.requests.delete === model.delete);
      assert.deepEqual(
        { ...driver.requests },
        { list: 2 + 2 * model.put, get: model.get, put: 60 + model.put, delete: model.delete },
      );
    } finally {
      await Promise.all([one.close(), other.close()]);
    }
  });
});

/** The requests to storage in an hour in which three devices wait for news and append. */
async function anHour(servers: 1 | 2, operations: number) {
  const driver = new InstrumentedDriver(new MemoryDriver());
  const hub = new MemoryHub();
  let seconds = 0;
  const now = () => 1000 * seconds;
  const handlers = Array.from({ length: servers }, () =>
    createHandler({
      config: readConfig({ ...NO_LIMITS, LISTING_TTL: "30s", COMPACTION: "off" }),
      driver,
      logger: createLogger("silent"),
      cluster: servers > 1 ? hub.join() : undefined,
      now,
      time: now,
    }),
  );
  const user = newUser().base64;
  const devices = Array.from({ length: 3 }, (_, i) => ({
    client: newClient(),
    handler: handlers[i % servers],
    next: 0,
    status: new Map<string, number>(),
  }));
  const send = async ({ client, handler, next, status }: (typeof devices)[number], more = {}) => {
    const request = {
      user,
      client_id: client,
      sync_status: Object.fromEntries(status),
      ...(next > 0 && { operation_index: next - 1 }),
      ...more,
    };
    const response = await handler?.fetch(
      new Request("http://localhost/sync", {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(request),
      }),
    );
    assert.equal(response?.status, 200);
    for (const line of (await response.text()).split("\n").filter(Boolean)) {
      const { client_id, operation_index } = JSON.parse(line);
      status.set(client_id, operation_index);
    }
  };
  // A wait looks twice: when it begins, and when it ends, where the next one begins at once.
  for (let look = 0; seconds < 3600; look++, seconds += WAIT / devices.length) {
    const device = devices[look % devices.length];
    assert.ok(device);
    const appends = look % Math.floor((3600 * devices.length) / WAIT / operations) === 0;
    if (appends && driver.requests.put < operations) {
      await send(device, { operation_index: device.next++, payload: "sealed" });
      // All of them wait.
      for (const other of devices) if (other !== device) await send(other);
    } else await send(device);
  }
  await Promise.all(handlers.map((handler) => handler.stop()));
  return { ...driver.requests };
}

/** The requests of a server to its storage so far. */
async function requestsOf(url: string): Promise<Record<string, number>> {
  const count = (kind: string) => metricOf(url, `sync_storage_requests_total{kind="${kind}"}`);
  return { list: await count("list"), get: await count("get"), put: await count("put") };
}
