import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { formatName, type ObjectName } from "../../oplog/names.ts";
import { ObjectCache, ObjectDamaged } from "../../oplog/object-cache.ts";
import { NO_TELEMETRY } from "../../oplog/telemetry.ts";
import { md5Of, ObjectMissing, StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { gate, HookedDriver } from "../support/drivers.ts";
import { RecordingTelemetry } from "../support/telemetry.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const user = someFingerprint();
const client = newClient();

function object(index: number, payload: string): { name: ObjectName; body: Uint8Array } {
  const body = new TextEncoder().encode(payload);
  return { name: { user, client, first: index, last: index, md5: md5Of(body) }, body };
}

describe("the payload cache", () => {
  const { name, body } = object(0, "payload");
  let driver: HookedDriver;
  let objects: ObjectCache;
  let telemetry: RecordingTelemetry;

  beforeEach(() => {
    driver = new HookedDriver(new MemoryDriver());
    telemetry = new RecordingTelemetry();
    objects = new ObjectCache({ driver, maxBytes: 100_000, telemetry });
  });

  it("reads an object once, and not at all after a put", async () => {
    await objects.put(name, body);
    assert.deepEqual(await objects.get(name), body);
    assert.equal(driver.count("get"), 0);
    const cold = new ObjectCache({ driver, maxBytes: 100_000, telemetry: NO_TELEMETRY });
    assert.deepEqual(await cold.get(name), body);
    assert.deepEqual(await cold.get(name), body);
    assert.equal(driver.count("get"), 1);
  });

  it("caches a large object when it is put, and not when it is read", async () => {
    const roomy = new ObjectCache({ driver, maxBytes: 10_000_000, telemetry: NO_TELEMETRY });
    const [read, stored] = [object(1, "r".repeat(300_000)), object(2, "s".repeat(300_000))];
    await driver.put(formatName(read.name), read.body);
    await roomy.put(stored.name, stored.body);
    for (let i = 1; i <= 2; i++) {
      await roomy.get(read.name);
      await roomy.get(stored.name);
      assert.equal(driver.count("get"), i);
    }
  });

  it("shares one read among callers at the same time", async () => {
    await driver.put(formatName(name), body);
    const { opened, open } = gate();
    driver.before = () => opened;
    const reads = [objects.get(name), objects.get(name), objects.get(name)];
    open();
    for (const read of reads) assert.deepEqual(await read, body);
    assert.equal(driver.count("get"), 1);
  });

  it("caches nothing that could not be stored", async () => {
    driver.before = () => {
      throw new StorageUnavailable("disk full");
    };
    await assert.rejects(objects.put(name, body), StorageUnavailable);
    driver.before = () => undefined;
    await assert.rejects(objects.get(name), ObjectMissing);
  });

  it("throws each time for an object whose bytes do not match its name", async () => {
    await driver.put(formatName(name), new TextEncoder().encode("payloae"));
    await assert.rejects(objects.get(name), ObjectDamaged);
    await assert.rejects(objects.get(name), ObjectDamaged);
    assert.equal(telemetry.value("object_cache", "damaged"), 2);
  });

  it("caches no more than maxBytes: eviction costs a read and changes nothing", async () => {
    const small = new ObjectCache({ driver, maxBytes: 10_000, telemetry: NO_TELEMETRY });
    const many = Array.from({ length: 50 }, (_, i) => object(i, `${i}`.padEnd(1000, "x")));
    for (const { name, body } of many) {
      await small.put(name, body);
      assert.ok(small.cachedBytes <= 10_000);
    }
    for (const { name, body } of many) assert.deepEqual(await small.get(name), body);
    assert.ok(driver.count("get") >= 40);
  });

  it("works without memory, and returns bodies that are too large to cache", async () => {
    for (const maxBytes of [0, 500]) {
      const none = new ObjectCache({ driver, maxBytes, telemetry: NO_TELEMETRY });
      const large = object(maxBytes, "x".repeat(5000));
      await none.put(large.name, large.body);
      assert.deepEqual(await none.get(large.name), large.body);
      assert.equal(none.cachedBytes, 0);
    }
  });
});
