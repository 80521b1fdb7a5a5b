/** One damaged object: everything else goes on, and its owner repairs it. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { OperationGap } from "../../oplog/append-plan.ts";
import { DamagedObjects, RETRY_AFTER_MS } from "../../oplog/damaged-objects.ts";
import { ObjectDamaged } from "../../oplog/object-cache.ts";
import {
  type Driver,
  ObjectMissing,
  ObjectUnreadable,
  type PutOptions,
} from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { serveHere, sync } from "../support/http.ts";
import { processOn, storeEach, storeRun } from "../support/logs.ts";
import { operationsOf } from "../support/operations.ts";
import { RecordingTelemetry } from "../support/telemetry.ts";
import { newClient, newUser, someFingerprint } from "../support/users.ts";

/** Changes one byte of an object behind the back of every process. */
async function damage(driver: Driver, name: string): Promise<void> {
  const body = Buffer.from(await driver.get(name));
  body[0] = (body[0] ?? 0) ^ 1;
  await driver.delete(name);
  await driver.put(name, body);
}

/** A storage that lists an object and does not give it out, until it is put again. */
class FaultyDriver extends MemoryDriver {
  readonly faults = new Map<string, Error>();

  override async get(name: string): Promise<Uint8Array> {
    const fault = this.faults.get(name);
    if (fault !== undefined) throw fault;
    return super.get(name);
  }

  override async put(name: string, body: Uint8Array, options?: PutOptions): Promise<void> {
    await super.put(name, body, options);
    this.faults.delete(name);
  }
}

const FAULTS: Record<string, (driver: FaultyDriver, name: string) => void | Promise<void>> = {
  "has another byte": damage,
  "is listed and not there": ({ faults }, name) => void faults.set(name, new ObjectMissing(name)),
  "cannot be read": ({ faults }, name) => void faults.set(name, new ObjectUnreadable("EIO")),
};

describe("a log with a damaged object", () => {
  const [a, b, c] = [newClient(), newClient(), newClient()];
  const three = ["0", "1", "2"];
  let user = someFingerprint();
  let driver: FaultyDriver;

  /** What a process delivers, as `CLIENT INDEX`. It reads again where a reading breaks off. */
  const readAll = async ({ log }: ReturnType<typeof processOn>) => {
    const names = new Map([
      [a, "a"],
      [b, "b"],
      [c, "c"],
    ]);
    for (let reading = await log.read(user, new Map()); ; reading = await reading.again()) {
      try {
        const operations = await operationsOf(reading);
        assert.equal(operations.length, reading.count);
        return operations
          .map(({ client_id, payload }) => `${names.get(client_id)}${payload}`)
          .toSorted();
      } catch (error) {
        if (!(error instanceof ObjectDamaged)) throw error;
      }
    }
  };

  beforeEach(async () => {
    user = someFingerprint();
    driver = new FaultyDriver();
  });

  for (const [what, store] of [
    [
      "a single operation",
      async () => {
        await storeEach(driver, user, a, three);
        return (await driver.list(`${user}.${a}`))[1]?.name ?? "";
      },
    ],
    [
      "a segment",
      async () => {
        await storeRun(driver, user, a, 0, "0");
        return storeRun(driver, user, a, 1, "1", "2");
      },
    ],
    [
      "a segment that overlaps with another",
      async () => {
        await storeRun(driver, user, a, 0, "0");
        await storeRun(driver, user, a, 2, "2", "3");
        return storeRun(driver, user, a, 1, "1", "2");
      },
    ],
  ] satisfies [string, () => Promise<string>][]) {
    for (const [fault, spoil] of Object.entries(FAULTS)) {
      it(`delivers what lies before ${what} that ${fault}, and all other clients, and its owner repairs it`, async () => {
        const name = await store();
        for (const client of [b, c]) await storeEach(driver, user, client, three);
        await spoil(driver, name);
        const others = ["b0", "b1", "b2", "c0", "c1", "c2"];
        const one = processOn(driver, Number.POSITIVE_INFINITY);
        assert.deepEqual(await readAll(one), ["a0", ...others]);
        // From now on without an attempt: the count is right at once.
        assert.equal((await one.log.read(user, new Map())).count, 1 + others.length);
        await one.log.append(user, b, 3, ["3"]);
        // The next append learns of it, and so does one that repeats the last operation.
        for (const [first, payload] of [
          [2, "2"],
          [3, "3"],
          [4, "4"],
        ] as const) {
          await assert.rejects(one.log.append(user, a, first, [payload]), (error) => {
            assert.ok(error instanceof OperationGap);
            assert.equal(error.members.next_index, 1);
            return true;
          });
        }
        await one.log.append(user, a, 1, ["1"]);
        await one.log.append(user, a, 2, ["2", "3", "4"]);
        const whole = ["a0", "a1", "a2", "a3", "a4", ...others, "b3"].toSorted();
        assert.deepEqual(await readAll(one), whole);
        // Another process finds out for itself, and finds it repaired.
        assert.deepEqual(await readAll(processOn(driver, 0)), whole);
      });
    }
  }

  it("stores a damaged operation anew when it is sent again before a reader has read it", async () => {
    await storeEach(driver, user, a, three);
    await damage(driver, (await driver.list(`${user}.${a}`))[1]?.name ?? "");
    const { log, telemetry } = processOn(driver, Number.POSITIVE_INFINITY);
    await log.append(user, a, 1, ["1", "2"]);
    assert.deepEqual(
      await operationsOf(await log.read(user, new Map())).then((all) => all.length),
      3,
    );
    assert.equal(telemetry.value("object_cache", "damaged"), 1);
  });

  it("is answered over HTTP with 200, the exact count and the intact operations; the damage is logged and counted", async () => {
    const key = newUser().base64;
    user = fingerprintOf(key);
    for (const client of [a, b, c]) await storeEach(driver, user, client, three);
    for (const client of [a, c]) {
      await damage(driver, (await driver.list(`${user}.${client}`))[1]?.name ?? "");
    }
    const server = await serveHere({ COMPACTION: "off" }, driver);
    try {
      const read = await sync(server.url, { user: key, client_id: newClient() });
      assert.equal(read.status, 200);
      assert.equal(read.headers.get("operation-count"), "5");
      assert.equal(read.text.trimEnd().split("\n").length, 5);
      const other = { user: key, client_id: b, operation_index: 3, payload: "3" };
      assert.equal((await sync(server.url, other)).status, 200);
      const owner = { user: key, client_id: a, operation_index: 2, payload: "2" };
      const refused = await sync(server.url, owner);
      assert.equal(refused.status, 409);
      assert.match(refused.text, /"next_index":1\}/);
      const again = { ...owner, operation_index: 1, payload: "1" };
      assert.equal((await sync(server.url, again)).status, 200);
      const whole = await sync(server.url, { user: key, client_id: newClient() });
      assert.equal(whole.headers.get("operation-count"), "8");
      assert.equal(server.log.filter((line) => line.includes("an object is damaged")).length, 2);
      const metrics = await (await fetch(new URL("/metrics", server.url))).text();
      assert.match(metrics, /sync_log_damage_total\{kind="damaged"\} 2\n/);
    } finally {
      await server.close();
    }
  });
});

describe("damaged objects", () => {
  it("count as missing until they are stored again, or for a while, and are reported once", async () => {
    let now = 0;
    const found: unknown[] = [];
    const telemetry = new RecordingTelemetry();
    const damaged = new DamagedObjects({
      now: () => now,
      onFound: (_, error) => found.push(error),
      telemetry,
    });
    const name = { user: someFingerprint(), client: newClient(), first: 0, last: 0, md5: "0" };
    const text = `${name.user}.${name.client}.0000000000000000.0`;
    const listed = [{ name: text }, { name: `${name.user}.signed` }];
    const damage = new ObjectDamaged(text);
    damaged.add(name.user, damage);
    damaged.add(name.user, new ObjectDamaged(text));
    assert.deepEqual(await damaged.without(listed), listed.slice(1));
    now = RETRY_AFTER_MS;
    assert.deepEqual(await damaged.without(listed), listed);
    const still = new ObjectDamaged(text);
    damaged.add(name.user, still);
    damaged.replaced(text);
    assert.deepEqual(await damaged.without(listed), listed);
    assert.deepEqual(found, [damage, still]);
    assert.equal(telemetry.value("log_damage", "damaged"), 2);
  });
});
