import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { OperationConflict, OperationGap } from "../../oplog/append-plan.ts";
import { OperationsLost } from "../../oplog/chunks.ts";
import { formatName } from "../../oplog/names.ts";
import { ObjectDamaged, ObjectUnfindable } from "../../oplog/object-cache.ts";
import { md5Of, ObjectMissing, StorageUnavailable } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { sameMd5 } from "../support/collision.ts";
import { gate, HookedDriver } from "../support/drivers.ts";
import { type Log, listingsOn, logOver, objectsOn, storeRun } from "../support/logs.ts";
import { operationsOf } from "../support/operations.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const [a, b] = [newClient(), newClient()].toSorted() as [string, string];

describe("the log", () => {
  let user = someFingerprint();
  let storage: MemoryDriver;
  let driver: HookedDriver;
  let log: Log;

  /** A log of another process: the same storage with other caches. */
  const instance = (ttl = 30_000, cacheBytes = 1_000_000) => {
    const listings = listingsOn(driver, { ttl, now: () => performance.now() });
    return logOver(listings, objectsOn(driver, cacheBytes));
  };
  const append = (client: string, first: number, ...payloads: string[]) =>
    log.append(user, client, first, payloads);
  const read = async (versionVector: Record<string, number> = {}, from = log) => {
    return operationsOf(await from.read(user, new Map(Object.entries(versionVector))));
  };
  const operation = (client_id: string, operation_index: number, payload: string) => ({
    client_id,
    operation_index,
    payload,
  });
  const objects = async () => (await storage.list("")).length;
  const store = (client: string, index: number, payload: string) => {
    const body = new TextEncoder().encode(payload);
    return storage.put(
      formatName({ user, client, first: index, last: index, md5: md5Of(body) }),
      body,
    );
  };

  beforeEach(() => {
    user = someFingerprint();
    storage = new MemoryDriver();
    driver = new HookedDriver(storage);
    log = instance();
  });

  it("accepts the next operation, from index 0 on, and delivers it to a reader that does not know it", async () => {
    await append(a, 0, "zero");
    await append(a, 1, "one");
    await append(b, 0, "other");
    const [zero, one, other] = [
      operation(a, 0, "zero"),
      operation(a, 1, "one"),
      operation(b, 0, "other"),
    ];
    assert.deepEqual(await read(), [zero, one, other]);
    assert.deepEqual(await read({ [a]: 0 }), [one, other]);
    assert.deepEqual(await read({ [a]: 1, [b]: 0 }), []);
    assert.deepEqual(await read({ [a]: 100, [newClient()]: 3 }), [other]);
  });

  it("returns each payload as it was sent", async () => {
    const payloads = ["\ufeffmark", '"\\\n\r\t\0', "\u2028\u2029", "😀", "é", "e\u0301", " ", "x"];
    await append(a, 0, ...payloads);
    log = instance();
    assert.deepEqual(
      (await read()).map(({ payload }) => payload),
      payloads,
    );
  });

  it("acknowledges a retry and writes nothing", async () => {
    await append(a, 0, "zero", "one");
    await append(a, 0, "zero");
    await append(a, 1, "one");
    await append(a, 0, "zero", "one");
    await append(a, 2, "two");
    await append(a, 1, "one", "two");
    log = instance();
    await append(a, 0, "zero", "one", "two");
    assert.equal(driver.count("put"), 2);
  });

  it("refuses another payload under a stored index, and replaces nothing", async () => {
    await append(a, 0, "zero", "one");
    for (const batch of [["ONE"], ["one", "TWO"]]) {
      const first = batch[0] === "ONE" ? 1 : 0;
      await assert.rejects(append(a, first, ...batch), OperationConflict);
    }
    assert.equal(driver.count("put"), 1);
    assert.deepEqual(await read(), [operation(a, 0, "zero"), operation(a, 1, "one")]);
  });

  it("refuses an operation above the next one, names the next one, and writes nothing", async () => {
    await assert.rejects(append(a, 1, "one"), { name: "OperationGap", members: { next_index: 0 } });
    await append(a, 0, "zero");
    await assert.rejects(append(a, 2, "two", "three"), {
      name: "OperationGap",
      members: { next_index: 1 },
    });
    assert.equal(await objects(), 1);
  });

  it("accepts a batch of which a leading part is stored, and completes it", async () => {
    await append(a, 0, "zero", "one");
    await append(a, 0, "zero", "one", "two", "three");
    assert.equal(driver.count("put"), 2);
    assert.equal((await read()).length, 4);
  });

  it("delivers an operation that fills a hole at the start, and the operations after it", async () => {
    await store(a, 1, "one");
    assert.deepEqual(await read(), []);
    await append(a, 0, "zero");
    assert.deepEqual(await read(), [operation(a, 0, "zero"), operation(a, 1, "one")]);
  });

  it("stores a batch as one object whose body is the lines of a response", async () => {
    await append(a, 0, "zero");
    await append(a, 1, "one", '"two"\n');
    const [segment] = (await storage.list(""))
      .map(({ name }) => name)
      .filter((n) => n.includes("-0000"));
    const lines =
      `{"client_id":"${a}","operation_index":1,"payload":"one"}\n` +
      `{"client_id":"${a}","operation_index":2,"payload":"\\"two\\"\\n"}\n`;
    assert.equal(Buffer.from(await storage.get(segment ?? "")).toString(), lines);
    assert.match(segment ?? "", /\.0000000000000001-0000000000000002\.[0-9a-f]{32}\.[0-9a-f]{8}$/);
    assert.equal(await objects(), 2);
  });

  it("stores a batch of one operation as its payload", async () => {
    await append(a, 0, "zero");
    const [object] = await storage.list("");
    assert.equal(Buffer.from(await storage.get(object?.name ?? "")).toString(), "zero");
  });

  it("refuses another payload with the same MD5, and never replaces the first by it", async () => {
    const [one, other] = sameMd5;
    assert.equal(md5(one), md5(other));
    const stale = instance(Number.POSITIVE_INFINITY);
    await read({}, stale);
    await append(a, 0, one);
    for (const from of [log, instance(), instance(0, 0)]) {
      await from.append(user, a, 0, [one]);
      await assert.rejects(from.append(user, a, 0, [other]), OperationConflict);
      await assert.rejects(from.append(user, a, 0, [other, "next"]), OperationConflict);
    }
    // A process that has not seen the first does not replace it either.
    await assert.rejects(stale.append(user, a, 0, [other]), StorageUnavailable);
    await assert.rejects(stale.append(user, a, 0, [other]), OperationConflict);
    assert.deepEqual(await read(), [operation(a, 0, one)]);
  });

  it("lists the objects of its client only before it refuses an operation by its index, and reports how many", async () => {
    await append(a, 0, "0");
    for (let index = 0; index < 5; index++) await append(b, index, `${index}`);
    const listed: number[] = [];
    const policy = { listed: (objects: number) => void listed.push(objects) };
    driver.calls.length = 0;
    await assert.rejects(log.append(user, a, 2, ["2"], policy), OperationGap);
    await assert.rejects(log.append(user, a, 0, ["other"], policy), OperationConflict);
    const lists = driver.calls.filter(({ kind }) => kind === "list").map(({ name }) => name);
    assert.deepEqual(lists, [`${user}.${a}.`, `${user}.${a}.`]);
    assert.deepEqual(listed, [1, 1]);
  });

  it("recognizes a retry of any part of a segment, and refuses other payloads", async () => {
    const batch = Array.from({ length: 10 }, (_, i) => `payload ${i}`);
    await append(a, 0, ...batch);
    for (const cache of [1_000_000, 0]) {
      log = instance(30_000, cache);
      await append(a, 3, "payload 3");
      await append(a, 2, "payload 2", "payload 3", "payload 4");
      await assert.rejects(append(a, 3, "payload 4"), {
        name: "OperationConflict",
        members: { operation_index: 3 },
      });
      await assert.rejects(append(a, 8, "payload 8", "9", "10"), {
        name: "OperationConflict",
        members: { operation_index: 9 },
      });
      assert.equal(driver.count("put"), 1);
    }
    await append(a, 9, "payload 9", "payload 10");
    assert.equal((await read()).length, 11);
  });

  it("recognizes a retry although its segment is compacted away again and again while it is read", async () => {
    const payloads = Array.from({ length: 8 }, (_, i) => `payload ${i}`);
    let held = await storeRun(storage, user, a, 0, ...payloads.slice(0, 4));
    const longer = [5, 6, 7];
    driver.before = async ({ kind, name }) => {
      if (kind !== "get" || name !== held || longer.length === 0) return;
      const next = await storeRun(storage, user, a, 0, ...payloads.slice(0, longer.shift()));
      await storage.delete(held);
      held = next;
    };
    await append(a, 1, "payload 1", "payload 2");
    assert.deepEqual(longer, []);
    assert.equal(driver.count("put"), 0);
    await assert.rejects(append(a, 1, "payload 1", "differs"), OperationConflict);
  });

  it("sends only the lines of a segment that the reader does not know", async () => {
    const batch = Array.from({ length: 10 }, (_, i) => `payload ${i}`);
    await append(a, 0, ...batch);
    for (let known = -1; known < 10; known++) {
      assert.deepEqual(
        await read({ [a]: known }),
        batch.map((payload, i) => operation(a, i, payload)).slice(known + 1),
      );
    }
  });

  it("refuses a whole batch, whichever of its operations is wrong", async () => {
    await append(a, 0, "zero");
    await assert.rejects(append(a, 0, "ZERO", "one"), OperationConflict);
    await assert.rejects(append(a, 2, "two", "three"), OperationGap);
    assert.equal(await objects(), 1);
  });

  it("fills several holes in order, so that a failure leaves a leading part, which a retry completes", async () => {
    const batch = ["zero", "one", "two", "three", "four", "five"];
    await store(a, 1, "one");
    await store(a, 3, "three");
    let puts = 0;
    let under = 0;
    driver.before = ({ kind }) => {
      if (kind === "put" && ++puts === 3) throw new StorageUnavailable("disk full");
      if (kind === "put") assert.equal(++under, 1);
    };
    driver.after = ({ kind }) => {
      if (kind === "put") under--;
    };
    await assert.rejects(append(a, 0, ...batch), StorageUnavailable);
    assert.deepEqual(
      (await read({}, instance())).map(({ payload }) => payload),
      ["zero", "one", "two", "three"],
    );
    await append(a, 0, ...batch);
    assert.deepEqual(
      (await read()).map(({ payload }) => payload),
      batch,
    );
  });

  it("refuses another payload after a put that failed and was stored all the same", async () => {
    await append(a, 0, "zero");
    for (const during of ["nothing", "a load"]) {
      const index = during === "nothing" ? 1 : 2;
      const { opened, open } = gate();
      driver.after = ({ kind }) => {
        if (kind === "put") throw new StorageUnavailable("stored, but the answer was lost");
        return during === "a load" ? opened : undefined;
      };
      const load = during === "a load" ? log.read(user, new Map()) : undefined;
      await assert.rejects(append(a, index, "x"), StorageUnavailable);
      driver.after = () => undefined;
      open();
      await load;
      await assert.rejects(append(a, index, "y"), OperationConflict);
      await append(a, index, "x");
    }
  });

  it("never refuses because of a cached listing", async () => {
    const other = instance();
    await append(a, 0, "zero");
    await read({}, other);
    await append(a, 1, "one");
    await other.append(user, a, 2, ["two"]);
    await append(a, 3, "three");
    assert.equal((await read({}, instance())).length, 4);
    await assert.rejects(other.append(user, a, 5, ["five"]), { members: { next_index: 4 } });
  });

  it("stores one of two payloads that are appended under one index at the same time", async () => {
    const outcomes = await Promise.allSettled([
      append(a, 0, "first"),
      append(a, 0, "second"),
      append(a, 0, "first"),
    ]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "rejected", "fulfilled"],
    );
    assert.deepEqual(await read(), [operation(a, 0, "first")]);
  });

  it("accepts requests in order while the first of them is still being stored", async () => {
    const { opened, open } = gate();
    driver.before = ({ kind }) => (kind === "put" ? opened : undefined);
    const appends = [append(a, 0, "zero"), append(a, 1, "one"), append(a, 2, "two")];
    open();
    await Promise.all(appends);
    assert.equal((await read()).length, 3);
  });

  it("delivers both payloads of a forked index, in the order of their hashes, and accepts either as a retry", async () => {
    const one = ["1", "2"].toSorted((x, y) => (md5(x) < md5(y) ? -1 : 1));
    for (const payload of ["0", ...one]) await store(a, payload === "0" ? 0 : 1, payload);
    await store(a, 2, "3");
    assert.deepEqual(await read(), [
      operation(a, 0, "0"),
      ...one.map((payload) => operation(a, 1, payload)),
      operation(a, 2, "3"),
    ]);
    assert.equal((await read({ [a]: 0 })).length, 3);
    await append(a, 1, "1");
    await append(a, 1, "2");
    await assert.rejects(append(a, 1, "4"), OperationConflict);
  });

  it("holds back the operations after a hole, and lets the client fill it", async () => {
    for (const index of [0, 1, 3, 4]) await store(a, index, `${index}`);
    await store(b, 0, "other");
    assert.deepEqual(
      (await read()).map(({ payload }) => payload),
      ["0", "1", "other"],
    );
    assert.deepEqual(
      (await read({ [a]: 2, [b]: 0 })).map(({ payload }) => payload),
      ["3", "4"],
    );
    await assert.rejects(append(a, 5, "5"), { members: { next_index: 2 } });
    await assert.rejects(append(a, 3, "3", "4", "5"), { members: { next_index: 2 } });
    // Also where all of it is stored: its client learns what is missing before it.
    await assert.rejects(append(a, 3, "3"), { members: { next_index: 2 } });
    await append(a, 2, "2", "3", "4", "5");
    assert.equal((await read()).length, 7);
  });

  it("continues a reading without gap or repeat when objects are gone and the log is listed again", async () => {
    const payloads = Array.from({ length: 200 }, (_, i) => `${i}`);
    for (const [i, payload] of payloads.entries()) await append(a, i, payload);
    await append(b, 0, "other");
    log = instance(30_000, 0);
    let missing = Number.POSITIVE_INFINITY;
    driver.before = ({ kind, name }) => {
      if (kind === "get" && name.includes(".0000000000000150.") && missing-- > 0) {
        throw new ObjectMissing(name);
      }
    };
    // An object that is missing again and again is more than an outdated listing: it is damaged.
    await assert.rejects(read(), ObjectUnfindable);
    assert.equal((await read()).length, 151);
    log = instance(30_000, 0);
    missing = 1;
    assert.deepEqual(
      (await read()).map(({ payload }) => payload),
      [...payloads, "other"],
    );
  });

  it("ends a reading with an error when promised operations are lost", async () => {
    for (const [i, payload] of ["zero", "one", "two"].entries()) await append(a, i, payload);
    log = instance(30_000, 0);
    const reading = await log.read(user, new Map());
    const [, second] = await storage.list("");
    await storage.delete(second?.name ?? "");
    const taken: string[] = [];
    await assert.rejects(async () => {
      for await (const line of reading.lines) taken.push(Buffer.from(line).toString());
    }, OperationsLost);
    assert.ok(taken.length <= 1);
  });

  it("never delivers bytes that do not match their hash", async () => {
    await append(a, 0, "zero");
    const [object] = await storage.list("");
    await storage.delete(object?.name ?? "");
    await storage.put(object?.name ?? "", new TextEncoder().encode("ZERO"));
    log = instance();
    await assert.rejects(read(), ObjectDamaged);
  });

  it("makes no request to storage for a poll on a warm cache, nor after an append", async () => {
    await append(a, 0, "zero");
    await append(a, 1, "one");
    await read();
    const calls = driver.calls.length;
    await read({ [a]: 1 });
    await read({});
    assert.equal(driver.calls.length, calls);
    await append(b, 0, "other");
    assert.deepEqual(await read({ [a]: 1 }), [operation(b, 0, "other")]);
    assert.deepEqual(
      driver.calls.slice(calls).map(({ kind }) => kind),
      ["put"],
    );
  });

  it("keeps users apart", async () => {
    const first = user;
    await append(a, 0, "mine");
    user = someFingerprint();
    assert.deepEqual(await read(), []);
    await append(a, 0, "yours");
    assert.deepEqual(await read(), [operation(a, 0, "yours")]);
    user = first;
    assert.deepEqual(await read(), [operation(a, 0, "mine")]);
  });
});

function md5(payload: string): string {
  return md5Of(new TextEncoder().encode(payload));
}
