/** Logs that nothing is appended to any more are packed, whatever they hold. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { IdleLogs } from "../../oplog/compaction/idle-logs.ts";
import { LIMITS } from "../../oplog/compaction/planner.ts";
import type { CompactionSchedulerOptions } from "../../oplog/compaction/scheduler.ts";
import { type Fingerprint, isFingerprint } from "../../oplog/names.ts";
import { NO_TELEMETRY } from "../../oplog/telemetry.ts";
import { StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { HookedDriver } from "../support/drivers.ts";
import { type Process, processOn, storeRun } from "../support/logs.ts";
import { operationsOf } from "../support/operations.ts";
import { until } from "../support/socket.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const DAY = 24 * 60 * 60_000;
const client = newClient();

describe("a log that nothing is appended to for a day", () => {
  let storage: MemoryDriver;
  let driver: HookedDriver;
  let time = 0;

  beforeEach(() => {
    storage = new MemoryDriver();
    driver = new HookedDriver(storage);
    time = 0;
  });

  /** A process that looks for idle logs all the time, by a clock that stands still. */
  const start = (options: Partial<CompactionSchedulerOptions> = {}) =>
    processOn(driver, Number.POSITIVE_INFINITY, {
      limits: LIMITS,
      timing: { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 0, idle: DAY, scanStep: 0 },
      now: () => time,
      ...options,
    });
  const newUsers = (count: number) => Array.from({ length: count }, () => someFingerprint());
  const append = async (user: Fingerprint, { compactor }: Process, from: number, to: number) => {
    for (let i = from; i < to; i++) await storeRun(storage, user, client, i, `${i}`);
    compactor.appended(user);
  };
  const objects = async (user = "") => (await storage.list(user)).length;
  const lists = (prefix: string) =>
    driver.calls.filter(({ kind, name }) => kind === "list" && name === prefix).length;

  it("is packed: 200 users of 40 operations become 400 objects, and have them all", async () => {
    const process = start();
    const users = newUsers(200);
    for (const user of users) await append(user, process, 0, 40);
    await process.compactor.settled();
    time = DAY - 1;
    // To the end of the scan, which leaves a log that is in use.
    await until(() => lists("_") > 0);
    await process.compactor.settled();
    assert.equal(await objects(), 8000);
    time = DAY;
    await until(async () => (await objects()) === 400);
    for (const user of users) {
      const read = await operationsOf(await process.log.read(user, new Map()));
      assert.deepEqual(
        read.map(({ payload }) => payload),
        Array.from({ length: 40 }, (_, i) => `${i}`),
      );
    }
    await process.compactor.stop();
  });

  it("is counted by the scan, and so is every other one, in use or not", async () => {
    const users = newUsers(20);
    for (const user of users) await storeRun(storage, user, client, 0, "five!");
    const process = start();
    const [used] = users;
    assert.ok(used !== undefined);
    await append(used, process, 1, 2);
    const stored = (what: "users" | "objects" | "bytes") =>
      process.telemetry.value(`stored_${what}`);
    assert.equal(stored("users"), 0);
    await until(() => stored("users") > 0);
    await process.compactor.stop();
    assert.deepEqual([stored("users"), stored("objects")], [20, 21]);
    assert.equal(stored("bytes"), 20 * "five!".length + "1".length);
    assert.ok(process.telemetry.value("stored_counted") > 1_700_000_000);
  });

  it("is shown to retention by the scan, worth packing or not, unless it is in use", async () => {
    const users = newUsers(20);
    for (const user of users) await storeRun(storage, user, client, 0, "zero");
    const scanned: Fingerprint[] = [];
    const process = start({ onScanned: (user) => scanned.push(user) });
    const [used, ...others] = users;
    assert.ok(used !== undefined);
    await append(used, process, 1, 2);
    await until(() => scanned.length >= others.length && lists("_") > 0);
    await process.compactor.stop();
    assert.deepEqual(scanned.toSorted(), others.toSorted());
  });

  it("is found after a restart, unless it is in use again", async () => {
    const [idle, used] = [someFingerprint(), someFingerprint()];
    for (const user of [idle, used]) {
      for (let i = 0; i < 40; i++) await storeRun(storage, user, client, i, `${i}`);
    }
    const process = start();
    await append(used, process, 40, 41);
    await until(async () => (await objects(idle)) === 2);
    await until(() => lists("_") > 0);
    await process.compactor.settled();
    assert.equal(await objects(used), 41);
    time = DAY;
    await until(async () => (await objects(used)) === 2);
    // The storage is scanned once.
    assert.equal(lists("_"), 1);
    await process.compactor.stop();
  });

  it("is found where a part of the storage could not be listed at first", async () => {
    const user = someFingerprint();
    for (let i = 0; i < 40; i++) await storeRun(storage, user, client, i, `${i}`);
    let failures = 3;
    driver.before = ({ kind, name }) => {
      if (kind === "list" && name === user[0] && failures-- > 0)
        throw new StorageUnavailable("away");
    };
    const errors: unknown[] = [];
    const process = start({ onError: (user, error) => errors.push([user, error]) });
    await append(someFingerprint(), process, 0, 1);
    await until(async () => (await objects(user)) === 2);
    assert.equal(errors.length, 3);
    await process.compactor.stop();
  });

  it("is packed a day later where it could not be packed", async () => {
    const user = someFingerprint();
    const process = start();
    await append(user, process, 0, 40);
    await process.compactor.settled();
    driver.before = ({ kind }) => {
      if (kind === "put") throw new StorageUnavailable("away");
    };
    time = DAY;
    await until(() => process.telemetry.value("compaction", "failed") === 1);
    driver.before = () => undefined;
    assert.equal(await objects(user), 40);
    time = 2 * DAY;
    await until(async () => (await objects(user)) === 2);
    await process.compactor.stop();
  });

  it("is not looked for once the process stops", async () => {
    const process = start();
    await append(someFingerprint(), process, 0, 1);
    await until(() => lists("A") > 0);
    await process.compactor.stop();
    const calls = driver.calls.length;
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(driver.calls.length, calls);
  });

  it("counts as idle early where more than 100,000 users are remembered", () => {
    const idle: string[] = [];
    const logs = new IdleLogs({
      driver,
      timing: { idle: DAY, scanStep: DAY },
      isWorthPacking: () => false,
      onIdle: (user) => idle.push(user),
      onError: (error) => assert.fail(String(error)),
      pause: async () => undefined,
      now: () => time,
      telemetry: NO_TELEMETRY,
    });
    const name = (number: number) => {
      const user = `${number}`.padStart(43, "A");
      assert.ok(isFingerprint(user));
      return user;
    };
    for (let number = 0; number < 100_000; number++) logs.touch(name(number));
    logs.touch(name(0));
    assert.deepEqual(idle, []);
    logs.touch(name(100_000));
    assert.deepEqual(idle, [name(1)]);
  });
});
