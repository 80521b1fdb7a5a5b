/** When a log is compacted, and when it is left alone. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { parseName } from "../../oplog/names.ts";
import { ObjectMissing } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { MANUAL_TIMING } from "../support/compaction-timing.ts";
import { HookedDriver } from "../support/drivers.ts";
import { processOn, storeRun } from "../support/logs.ts";
import { until } from "../support/socket.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const [a, b] = [newClient(), newClient()];
const resting = { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 1_000_000 };

describe("the compaction scheduler", () => {
  let user = someFingerprint();
  let storage: MemoryDriver;
  let driver: HookedDriver;

  const storeEach = async (client: string, count: number) => {
    for (let i = 0; i < count; i++) await storeRun(storage, user, client, i, `payload ${i}`);
  };

  beforeEach(() => {
    user = someFingerprint();
    storage = new MemoryDriver();
    driver = new HookedDriver(storage);
  });

  // With two at each tick of the timer, it would take 50 seconds.
  it("looks at 200 users who appended at the same time, four at once", {
    timeout: 20_000,
  }, async () => {
    const users = Array.from({ length: 200 }, () => someFingerprint());
    const looked = new Set<string>();
    let [running, most] = [0, 0];
    driver.before = async ({ kind, name }) => {
      assert.equal(kind, "list");
      looked.add(name);
      running++;
      most = Math.max(most, running);
      // The first ones wait for a fourth.
      await until(() => most > 3);
    };
    driver.after = () => {
      running--;
    };
    const { compactor } = processOn(driver, Number.POSITIVE_INFINITY, {
      timing: { ...resting, debounce: 500, maxDelay: 30_000 },
    });
    for (const some of users) compactor.appended(some);
    await until(() => looked.size === users.length && running === 0);
    assert.equal(most, 4);
    assert.equal(driver.calls.length, users.length);
    await compactor.stop();
  });

  it("leaves the objects beside a damaged one, packs all others, and reports the damage once", async () => {
    await storeEach(a, 12);
    await storeEach(b, 30);
    const damaged = (await storage.list(`${user}.${b}`))[17]?.name ?? "";
    await storage.delete(damaged);
    await storage.put(damaged, new TextEncoder().encode("something else"));
    const errors: unknown[] = [];
    const { compactor, telemetry } = processOn(driver, Number.POSITIVE_INFINITY, {
      limits: { operations: 4, bytes: 1000 },
      timing: resting,
      onError: (_, error) => errors.push(error),
    });
    compactor.appended(user);
    await compactor.settled();
    const spansOf = async (client: string) =>
      (await storage.list(`${user}.${client}`)).map(({ name }) => {
        const { first, last } = parseName(name) ?? {};
        return first === last ? `${first}` : `${first}-${last}`;
      });
    // 10 lines come to 1,000 bytes, or fewer of them.
    const [spansOfA, spansOfB] = [await spansOf(a), await spansOf(b)];
    assert.equal(spansOfA.at(-1), "11");
    assert.ok(spansOfA.length <= 3, `${spansOfA}`);
    const whole = spansOfB.filter((span) => !span.includes("-")).map(Number);
    assert.ok(whole.includes(17) && whole.length > 2 && whole.length < 13, `${spansOfB}`);
    assert.equal(spansOfB.filter((span) => span.includes("-")).length, 2);
    assert.deepEqual(
      errors.map((error) => error instanceof Error && error.name),
      ["ObjectDamaged"],
    );
    assert.equal(telemetry.value("compaction", "failed"), 1);

    // It is left alone, also after an append.
    const calls = driver.calls.length;
    compactor.appended(user);
    await compactor.settled();
    assert.equal(driver.calls.length, calls);
    assert.equal(errors.length, 1);
    await compactor.stop();
  });

  it("backs off from a log with an object that is listed and always missing, and reports it once", {
    timeout: 20_000,
  }, async () => {
    await storeEach(a, 6);
    driver.before = ({ kind, name }) => {
      if (kind === "get" && parseName(name)?.first === 2) throw new ObjectMissing(name);
    };
    const errors: unknown[] = [];
    const { compactor, telemetry } = processOn(driver, Number.POSITIVE_INFINITY, {
      timing: resting,
      onError: (_, error) => errors.push(error),
    });
    compactor.appended(user);
    await compactor.settled();
    assert.deepEqual(
      errors.map((error) => error instanceof ObjectMissing),
      [true],
    );
    assert.equal(telemetry.value("compaction", "failed"), 1);
    const lists = driver.count("list");
    assert.ok(lists > 1 && lists < 10, `${lists} lists`);
    compactor.appended(user);
    await compactor.settled();
    assert.equal(driver.count("list"), lists);
    await compactor.stop();
  });

  it("does not delay a log because its listing is read again", { timeout: 20_000 }, async () => {
    await storeEach(a, 6);
    let time = 0;
    const { compactor, listings, telemetry } = processOn(driver, 0, {
      now: () => time,
      timing: { ...resting, debounce: 10, maxDelay: 1_000_000 },
    });
    compactor.loaded(user, await listings.get(user));
    time = 6;
    compactor.loaded(user, await listings.get(user));
    time = 10;
    await until(() => telemetry.value("compaction", "deleted") === 5);
    await compactor.stop();
  });

  it("does at once what is due by its clock, when asked to", async () => {
    await storeEach(a, 6);
    let time = 0;
    const { compactor, listings, telemetry } = processOn(driver, 0, {
      now: () => time,
      limits: { operations: 4 },
      // Their timers would end long after the test.
      timing: { ...MANUAL_TIMING, debounce: 1_000_000, deleteDelay: 1_000 },
    });
    const done = () => ["stored", "deleted"].map((event) => telemetry.value("compaction", event));
    compactor.loaded(user, await listings.get(user));
    await compactor.runDue();
    assert.deepEqual(done(), [0, 0]);
    time = 1_000_000;
    await compactor.runDue();
    assert.deepEqual(done(), [1, 0]);
    time += 1_000;
    await compactor.runDue();
    assert.deepEqual(done(), [1, 5]);
    assert.equal((await storage.list(user)).length, 2);
    await compactor.stop();
  });
});
