import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import type { CompactionSchedulerOptions } from "../../oplog/compaction/scheduler.ts";
import { formatName, parseName } from "../../oplog/names.ts";
import { encodeSegment } from "../../oplog/segment.ts";
import { md5Of, ObjectMissing } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { fingerprintOf } from "../../sync/public-key.ts";
import { gate, HookedDriver } from "../support/drivers.ts";
import { type Operation, type Serving, sync, withServer } from "../support/http.ts";
import { listingsOn, processOn, storeRun } from "../support/logs.ts";
import { metricsOf } from "../support/metrics.ts";
import { operationsOf } from "../support/operations.ts";
import { until } from "../support/socket.ts";
import { newClient, newUser, someFingerprint } from "../support/users.ts";

const a = newClient();
const limits = { operations: 4, bytes: 100_000 };
const atOnce = { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 0 };

describe("compaction", () => {
  let user = someFingerprint();
  let storage: MemoryDriver;
  let driver: HookedDriver;

  const instance = (options: Partial<CompactionSchedulerOptions> = {}) =>
    processOn(driver, Number.POSITIVE_INFINITY, options);
  const store = (first: number, ...payloads: string[]) =>
    storeRun(storage, user, a, first, ...payloads);
  const storeEach = async (count: number, from = 0) => {
    for (let i = from; i < from + count; i++) await store(i, `payload ${i}`);
  };
  const spans = async () =>
    (await storage.list(`${user}.`)).map(({ name }) => {
      const { first, last } = parseName(name) ?? {};
      return first === last ? `${first}` : `${first}-${last}`;
    });
  const expected = (count: number): Operation[] =>
    Array.from({ length: count }, (_, i) => ({
      client_id: a,
      operation_index: i,
      payload: `payload ${i}`,
    }));
  const read = async ({ log } = instance()) => operationsOf(await log.read(user, new Map()));

  beforeEach(() => {
    user = someFingerprint();
    storage = new MemoryDriver();
    driver = new HookedDriver(storage);
  });

  it("reads objects, then stores the segment, and deletes the objects only when that is done", async () => {
    await storeEach(6);
    let stored = false;
    driver.before = ({ kind }) => {
      if (kind === "delete") assert.ok(stored, "deleted before the segment was stored");
    };
    driver.after = ({ kind }) => {
      if (kind === "put") stored = true;
    };
    assert.equal(await instance().compactor.compact(user), true);
    assert.deepEqual(
      driver.calls.map(({ kind }) => kind),
      ["list", ...Array(5).fill("get"), "put", ...Array(5).fill("delete")],
    );
    assert.deepEqual(await spans(), ["0-4", "5"]);
    assert.deepEqual(await read(), expected(6));
  });

  it("deletes nothing when the segment cannot be stored, or when an object is damaged", async () => {
    await storeEach(6);
    driver.before = ({ kind }) => {
      if (kind === "put") throw new Error("disk full");
    };
    await assert.rejects(instance().compactor.compact(user), /disk full/);
    driver.before = () => undefined;
    assert.equal(driver.count("delete"), 0);
    const [, second] = await storage.list("");
    assert.ok(second !== undefined);
    await storage.delete(second.name);
    await storage.put(second.name, new TextEncoder().encode("something else"));
    await assert.rejects(instance().compactor.compact(user), { name: "ObjectDamaged" });
    assert.equal(driver.count("delete"), 0);
    assert.equal((await storage.list("")).length, 6);
  });

  it("never packs a client's last object", async () => {
    await storeEach(5);
    const { compactor } = instance();
    while (await compactor.compact(user));
    assert.deepEqual(await spans(), ["0-3", "4"]);
  });

  it("leaves segments that overlap at the end of a client's log, because one of them is its last object", async () => {
    await store(0, ...Array.from({ length: 4 }, (_, i) => `payload ${i}`));
    await store(2, ...Array.from({ length: 4 }, (_, i) => `payload ${i + 2}`));
    await instance().compactor.compact(user);
    assert.deepEqual(await spans(), ["0-3", "2-5"]);
    assert.deepEqual(await read(), expected(6));
  });

  it("keeps one of two equal segments of which an earlier version stored one, without a CRC-32", async () => {
    const whole = await store(0, ...Array.from({ length: 4 }, (_, i) => `payload ${i}`));
    await storage.put(whole.slice(0, whole.lastIndexOf(".")), await storage.get(whole));
    await store(4, "payload 4");
    const one = instance();
    assert.deepEqual(await read(one), expected(5));
    await one.compactor.compact(user);
    assert.deepEqual(await spans(), ["0-3", "4"]);
    assert.deepEqual(await read(one), expected(5));
    assert.deepEqual(await read(), expected(5));
  });

  it("stores and deletes nothing where a segment has other lines than its name promises", async () => {
    const body = encodeSegment(a, 0, ["payload 0", "payload 1", "one too many"]);
    const name = formatName({ user, client: a, first: 0, last: 1, md5: md5Of(body) });
    await storage.put(name, body);
    await storeEach(4, 2);
    await assert.rejects(instance().compactor.compact(user), { name: "SegmentMalformed" });
    assert.deepEqual([driver.count("put"), driver.count("delete")], [0, 0]);
  });

  it("deletes nothing more once it is stopped, except for running deletes", async () => {
    await storeEach(201);
    const { opened, open } = gate();
    driver.before = ({ kind }) => (kind === "delete" ? opened : undefined);
    const { compactor } = instance();
    const compacting = compactor.compact(user);
    await until(() => driver.count("delete") > 0);
    const begun = driver.count("delete");
    await compactor.stop();
    open();
    await compacting;
    assert.equal(driver.count("delete"), begun);
    assert.ok(begun < 200);
    assert.deepEqual(await read(), expected(201));
  });

  it("checks whether the user was erased meanwhile only when it may have stored something", async () => {
    let looks = 0;
    const settle = async () => looks++;
    await storeEach(3);
    await instance({ settle }).compactor.compact(user);
    assert.equal(looks, 0);
    await storeEach(3, 3);
    driver.before = ({ kind }) => {
      if (kind === "put") throw new Error("the answer is lost");
    };
    await assert.rejects(instance({ settle }).compactor.compact(user), /lost/);
    assert.equal(looks, 1);
    driver.before = () => undefined;
    await instance({ settle }).compactor.compact(user);
    assert.equal(looks, 2);
  });

  it("leaves segments that overlap where the merged segment would be too large", async () => {
    const large = Array.from({ length: 5 }, (_, i) => `${i}`.padEnd(900_000));
    await store(0, ...large.slice(0, 3));
    await store(2, ...large.slice(2));
    await store(5, "last");
    await instance().compactor.compact(user);
    assert.deepEqual(await spans(), ["0-2", "2-4", "5"]);
  });

  it("removes deleted objects from the listing, also from one that was read before the deletes", async () => {
    await storeEach(6);
    const { compactor, listings } = instance({
      pause: async () => {
        if (driver.count("put") > 0) await listings.fresh(user);
      },
    });
    await compactor.compact(user);
    assert.equal(driver.count("list"), 2);
    const stored = await storage.list(user);
    const { footprint, runs } = await listings.getStale(user);
    const bytes = stored.reduce((sum, { size }) => sum + size, 0);
    assert.deepEqual([footprint, runs], [{ objects: 2, bytes }, 2]);
  });

  it("backs off from a log that only seems worth packing, however often it is listed", async () => {
    await store(0, ...Array.from({ length: 5 }, (_, i) => `payload ${i}`));
    await store(2, "fork");
    await storeEach(1, 5);
    let looks = 0;
    let time = 0;
    const pause = async () => {
      looks++;
    };
    const timing = { ...atOnce, backoff: 1000 };
    const { compactor, listings } = instance({ pause, timing, now: () => time });
    for (const expected of [1, 1, 1, 2]) {
      if (expected === 2) time += 1000;
      compactor.loaded(user, await listings.getStale(user));
      await compactor.settled();
      assert.equal(looks, expected);
    }
    await compactor.stop();
  });

  it("does not fail because other processes are faster now and then", async () => {
    const { compactor, listings, telemetry } = instance();
    for (let round = 0; round < 8; round++) {
      await storeEach(6, round * 6);
      listings.invalidate(user);
      let misses = 1;
      driver.before = ({ kind, name }) => {
        if (kind === "get" && misses-- > 0) throw new ObjectMissing(name);
      };
      compactor.appended(user);
      await compactor.settled();
      assert.ok(misses < 1);
    }
    assert.equal(telemetry.value("compaction", "failed"), 0);
    assert.deepEqual(await read(), expected(48));
    await compactor.stop();
  });

  it("waits for a pause in the requests before it stores and before it deletes", async () => {
    await storeEach(6);
    const gates = [gate(), gate()];
    let pauses = 0;
    const { compactor } = instance({ pause: () => gates[pauses++]?.opened ?? Promise.resolve() });
    const compacting = compactor.compact(user);
    await until(() => pauses === 1);
    assert.equal(driver.count("put"), 0);
    gates[0]?.open();
    await until(() => pauses === 2);
    assert.deepEqual([driver.count("put"), driver.count("delete")], [1, 0]);
    gates[1]?.open();
    await compacting;
    assert.equal(driver.count("delete"), 5);
  });

  it("does not wait for a pause in the requests while storage asks for a log to be packed", async () => {
    await storeEach(6);
    let pauses = 0;
    const { compactor } = instance({
      pause: async () => {
        pauses++;
      },
    });
    compactor.crowded([user]);
    await compactor.settled();
    assert.deepEqual([driver.count("put"), driver.count("delete"), pauses], [1, 5, 0]);
    user = someFingerprint();
    await storeEach(6);
    await compactor.compact(user);
    assert.ok(pauses > 0, "it waits again");
    await compactor.stop();
  });

  it("lets requests go first repeatedly while it reads and deletes many objects", async () => {
    await storeEach(600);
    const work: number[] = [];
    const { compactor } = instance({
      pause: async () => {
        work.push(driver.count("get") + driver.count("delete"));
      },
    });
    await compactor.compact(user);
    work.push(driver.count("get") + driver.count("delete"));
    assert.ok(driver.count("get") > 400 && driver.count("delete") > 400);
    // As many as may be read before the next pause, and those that are prefetched.
    for (const [i, done] of work.entries())
      assert.ok(done - (work[i - 1] ?? 0) <= 128 + 16, `${work}`);
  });

  it("stops waiting for requests once it is stopped", async () => {
    // At the first of many pauses: while it reads for a segment, and while it deletes.
    for (const when of ["get", "delete"] as const) {
      user = someFingerprint();
      await storeEach(600);
      driver.calls.length = 0;
      let stopped: Promise<void> | undefined;
      let after = 0;
      const { compactor } = instance({
        limits: { operations: 599, bytes: 100_000 },
        pause: async () => {
          if (stopped !== undefined) after++;
          else if (driver.count(when) > 0) stopped = compactor.stop();
        },
      });
      await compactor.compact(user);
      await stopped;
      assert.notEqual(stopped, undefined, when);
      assert.equal(after, 0, when);
    }
  });

  it("packs a log after debounce without an append, or after maxDelay", async () => {
    for (const [debounce, maxDelay, moves] of [
      [1, 1_000_000, true],
      [1, 1, false],
    ] as const) {
      user = someFingerprint();
      await storeEach(6);
      let [time, asked] = [0, 0];
      const now = () => {
        asked++;
        return time;
      };
      const timing = { ...atOnce, debounce, maxDelay, backoff: 1000 };
      const { compactor, telemetry } = instance({ now, timing });
      compactor.appended(user);
      const before = driver.calls.length;
      // The clock stands still, however often the timer reads it.
      await until(() => asked > 5);
      assert.equal(driver.calls.length, before);
      time = 1;
      if (!moves) compactor.appended(user);
      await until(() => telemetry.value("compaction", "deleted") === 5);
      await compactor.stop();
    }
  });

  it("compacts at most four users at once, and each only once at a time", async () => {
    const users = Array.from({ length: 9 }, () => someFingerprint());
    for (const some of users) {
      user = some;
      await storeEach(6);
    }
    const under = new Map<string, number>();
    let most = 0;
    driver.before = async ({ kind, name }) => {
      if (kind !== "put") return;
      const of = name.slice(0, 43);
      under.set(of, (under.get(of) ?? 0) + 1);
      assert.equal(under.get(of), 1);
      most = Math.max(most, under.size);
      await until(() => most > 3);
    };
    driver.after = ({ kind, name }) => {
      if (kind === "put") under.delete(name.slice(0, 43));
    };
    const { compactor, telemetry } = instance({ timing: { ...atOnce, backoff: 1000 } });
    for (const some of [...users, ...users]) compactor.appended(some);
    await compactor.settled();
    assert.equal(telemetry.value("compaction", "stored"), 9);
    assert.equal(most, 4);
    await compactor.stop();
  });

  it("leaves segment and objects when it is stopped in between, and a later process deletes the objects", async () => {
    await storeEach(6);
    const { compactor, telemetry } = instance({ timing: { ...atOnce, deleteDelay: 1_000_000 } });
    compactor.appended(user);
    await until(() => telemetry.value("compaction", "stored") === 1);
    await compactor.stop();
    assert.equal(driver.count("delete"), 0);
    assert.deepEqual(await spans(), ["0-4", "0", "1", "2", "3", "4", "5"]);
    assert.deepEqual(await read(), expected(6));
    await instance().compactor.compact(user);
    assert.deepEqual(await spans(), ["0-4", "5"]);
    assert.deepEqual(await read(), expected(6));
  });

  it("deletes superseded objects that a crash has left, and delivers no operation twice", async () => {
    await store(0, ...Array.from({ length: 5 }, (_, i) => `payload ${i}`));
    await storeEach(3, 3);
    assert.deepEqual(await read(), expected(6));
    const { compactor, listings } = instance();
    compactor.loaded(user, await listings.get(user));
    await compactor.settled();
    assert.deepEqual(await spans(), ["0-4", "5"]);
    assert.deepEqual(await read(), expected(6));
    await compactor.stop();
  });

  it("delivers a fork of an operation in a segment, deletes neither, and recognizes a retry of either", async () => {
    await store(0, ...Array.from({ length: 5 }, (_, i) => `payload ${i}`));
    await store(2, "fork");
    await storeEach(1, 5);
    const before = await spans();
    const process = instance();
    while (await process.compactor.compact(user));
    assert.deepEqual(await spans(), before);
    const payloads = (await read()).filter(({ operation_index }) => operation_index === 2);
    assert.deepEqual(payloads.map(({ payload }) => payload).toSorted(), ["fork", "payload 2"]);
    assert.equal((await read()).length, 7);
    await process.log.append(user, a, 2, ["fork"]);
    await process.log.append(user, a, 2, ["payload 2"]);
    await assert.rejects(process.log.append(user, a, 2, ["third"]), { name: "OperationConflict" });
  });

  it("keeps two segments that differ in one payload over the same operations", async () => {
    await store(0, "payload 0", "payload 1", "payload 2");
    await store(0, "payload 0", "other", "payload 2");
    await storeEach(1, 3);
    const process = instance();
    while (await process.compactor.compact(user));
    assert.deepEqual(await spans(), ["0-2", "0-2", "3"]);
    const all = await read();
    assert.equal(all.length, 5);
    assert.ok(all.some(({ payload }) => payload === "other"));
    await process.log.append(user, a, 0, ["payload 0", "other", "payload 2"]);
    await process.log.append(user, a, 0, ["payload 0", "payload 1"]);
    assert.equal(driver.count("put"), 0);
  });

  it("loses nothing for a running reader, in this process or in another", async () => {
    for (const other of [false, true]) {
      user = someFingerprint();
      await storeEach(200);
      const process = instance();
      const { lines, count } = await process.log.read(user, new Map());
      const first = await lines.next();
      assert.ok(!first.done);
      const { compactor } = other ? instance() : process;
      await compactor.compact(user);
      assert.deepEqual(await spans(), ["0-198", "199"]);
      const chunks = [first.value];
      for await (const chunk of lines) chunks.push(chunk);
      const text = Buffer.concat(chunks).toString().trimEnd().split("\n");
      assert.equal(count, 200);
      assert.deepEqual(
        text.map((line) => JSON.parse(line)),
        expected(200),
      );
    }
  });
});

describe("a listing that shows a hole", () => {
  it("is read again, because it may have missed both a segment and the objects in it", async () => {
    const user = someFingerprint();
    for (const heals of [true, false]) {
      const storage = new MemoryDriver();
      for (const index of [0, 3]) await storeRun(storage, user, a, index, `${index}`);
      const driver = new HookedDriver(storage);
      driver.after = async ({ kind }) => {
        if (kind === "list" && heals) await storeRun(storage, user, a, 1, "1", "2");
      };
      const sequence = (await listingsOn(driver).get(user)).clients.get(a);
      assert.deepEqual(sequence?.holes, heals ? [] : [{ first: 1, last: 2 }]);
      assert.equal(driver.count("list"), 2);
    }
  });
});

describe("a server that compacts", () => {
  const append = (url: string, user: string, operation_index: number, payload: unknown) =>
    sync(url, { user, client_id: a, operation_index, payload });

  it("recognizes a retry of packed operations, and refuses other payloads with 409", async () => {
    const user = newUser().base64;
    const driver = new HookedDriver(new MemoryDriver());
    const work = async (server: Serving) => {
      for (let i = 0; i < 8; i++) await append(server.url, user, i, `payload ${i}`);
      await server.compacted();
      assert.ok(driver.count("delete") > 0);
      const puts = driver.count("put");
      for (let i = 0; i < 8; i++) {
        assert.equal((await append(server.url, user, i, `payload ${i}`)).status, 200);
        const refused = await append(server.url, user, i, "differs");
        assert.equal(refused.status, 409);
        assert.equal(refused.problem.operation_index, i);
      }
      assert.equal(driver.count("put"), puts);
      const metrics = await metricsOf(server.url);
      assert.match(metrics, /^sync_compaction_total\{event="stored"\} [1-9]/m);
      assert.match(metrics, /^sync_compaction_total\{event="deleted"\} [1-9]/m);
      assert.match(metrics, /^sync_compaction_total\{event="failed"\} 0$/m);
    };
    await withServer({}, work, driver, { limits, timing: atOnce });
  });

  it("packs nothing with COMPACTION=off", async () => {
    const key = newUser().base64;
    const storage = new MemoryDriver();
    const work = async (server: Serving) => {
      for (let i = 0; i < 8; i++) await append(server.url, key, i, `payload ${i}`);
      await server.compacted();
      assert.equal((await storage.list(fingerprintOf(key))).length, 8);
    };
    await withServer({ COMPACTION: "off" }, work, storage, { limits, timing: atOnce });
  });
});
