/** Packed objects stay for a while: hidden from listings, counted once, and needed if their segment is lost. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { parseName } from "../../oplog/names.ts";
import { type Driver, StorageFull } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { processOn, storeEach } from "../support/logs.ts";
import { operationsOf } from "../support/operations.ts";
import { inProcessServer, newSigningUser } from "../support/signing.ts";
import { until } from "../support/socket.ts";
import { newClient, someFingerprint } from "../support/users.ts";

describe("objects that were packed", () => {
  const client = newClient();
  const payloads = ["0", "1", "2", "3", "4", "5"];
  let user = someFingerprint();
  let driver: MemoryDriver;
  let time = 0;

  const start = () =>
    processOn(driver, 0, {
      now: () => time,
      timing: { debounce: 1e9, maxDelay: 1e9, deleteDelay: 100, backoff: 0 },
    });
  const names = async () => (await driver.list(`${user}.`)).map(({ name }) => name);
  const segments = async () =>
    (await names()).filter((name) => {
      const { first = 0, last = 0 } = parseName(name) ?? {};
      return first < last;
    });
  const read = async ({ log }: ReturnType<typeof processOn>) =>
    (await operationsOf(await log.read(user, new Map()))).map(({ payload }) => payload);

  beforeEach(async () => {
    user = someFingerprint();
    driver = new MemoryDriver();
    time = 0;
    await storeEach(driver, user, client, payloads);
  });

  it("are deleted once the retention has passed; until then listings lack them, and they do not count", async () => {
    const { listings, compactor, ...rest } = start();
    assert.equal(await compactor.compact(user), true);
    assert.equal((await names()).length, 7);
    const { runs, footprint } = await listings.fresh(user);
    assert.equal(runs, 2);
    assert.equal(await compactor.compact(user), false);
    time = 99;
    await compactor.compact(user);
    assert.equal((await names()).length, 7);
    time = 100;
    await compactor.compact(user);
    assert.equal((await names()).length, 2);
    assert.deepEqual((await listings.fresh(user)).footprint, footprint);
    assert.deepEqual(await read({ listings, compactor, ...rest }), payloads);
    await compactor.stop();
  });

  it("are found again by a process that starts, and stay there for as long", async () => {
    const before = start();
    await before.compactor.compact(user);
    const { footprint } = await before.listings.fresh(user);
    await before.compactor.stop();
    time = 1_000;
    const { listings, compactor } = start();
    assert.deepEqual((await listings.fresh(user)).footprint, footprint);
    assert.equal(await compactor.compact(user), true);
    assert.equal((await listings.fresh(user)).runs, 2);
    assert.equal((await names()).length, 7);
    time = 1_100;
    await compactor.compact(user);
    assert.equal((await names()).length, 2);
    await compactor.stop();
  });

  it("are deleted at once where there is no room for another segment", async () => {
    const { compactor, log } = start();
    await compactor.compact(user);
    for (let index = 6; index < 12; index++) await log.append(user, client, index, [`${index}`]);
    const put = driver.put.bind(driver);
    driver.put = async () => {
      throw new StorageFull("the disk is full");
    };
    await assert.rejects(compactor.compact(user), StorageFull);
    assert.equal((await names()).length, 8);
    driver.put = put;
    assert.equal(await compactor.compact(user), true);
    await compactor.stop();
  });

  it("are deleted at once where a segment finds room only in what storage keeps for it", async () => {
    const { compactor } = start();
    const storage: Driver = driver;
    const put = driver.put.bind(driver);
    storage.put = async (name, body, options) => {
      if (options?.fromReserve !== true) throw new StorageFull("the disk is full");
      await put(name, body, options);
    };
    assert.equal(await compactor.compact(user), true);
    assert.equal((await names()).length, 2);
    await compactor.stop();
  });

  it("are deleted at once where an append finds no room", async () => {
    const compaction = {
      limits: { operations: 4, bytes: 100_000 },
      timing: { debounce: 0, maxDelay: 0, deleteDelay: 900_000, backoff: 0 },
    };
    const server = inProcessServer({ COMPACTION: "on" }, driver, {}, compaction);
    const owner = await newSigningUser();
    user = owner.fingerprint;
    await storeEach(driver, user, client, payloads);
    const append = { client_id: client, operation_index: payloads.length, payload: "more" };
    assert.equal((await server.signed(owner, append)).status, 200);
    await server.handler.compacted();
    const put = driver.put.bind(driver);
    driver.put = async () => {
      throw new StorageFull("the disk is full");
    };
    const { length } = await names();
    const next = { ...append, operation_index: payloads.length + 1 };
    assert.equal((await server.signed(owner, next)).status, 503);
    await until(async () => (await names()).length < length);
    driver.put = put;
    assert.equal((await server.signed(owner, next)).status, 200);
    await server.handler.stop();
  });

  it("are packed and deleted where an append finds no room, however few they are", async () => {
    const timing = { debounce: 0, maxDelay: 0, deleteDelay: 900_000, backoff: 0 };
    const server = inProcessServer({ COMPACTION: "on" }, driver, {}, { timing });
    const owner = await newSigningUser();
    user = owner.fingerprint;
    await storeEach(driver, user, client, payloads);
    const append = { client_id: client, operation_index: payloads.length, payload: "more" };
    assert.equal((await server.signed(owner, append)).status, 200);
    const storage: Driver = driver;
    const put = driver.put.bind(driver);
    storage.put = async (name, body, options) => {
      if (options?.fromReserve !== true) throw new StorageFull("the disk is full");
      await put(name, body, options);
    };
    const next = { ...append, operation_index: payloads.length + 1 };
    assert.equal((await server.signed(owner, next)).status, 503);
    // A segment, the last operation, and the lock.
    await until(async () => (await names()).length === 3);
    await server.handler.stop();
  });

  it("are not deleted where their segment was lost, and nobody has read since", async () => {
    const { compactor } = start();
    await compactor.compact(user);
    const single = (await names()).filter((name) => !name.includes("-0000"));
    for (const name of await segments()) await driver.delete(name);
    time = 100;
    await compactor.compact(user);
    const left = await names();
    assert.deepEqual(
      single.filter((name) => !left.includes(name)),
      [],
    );
    assert.equal(single.length, payloads.length);
    await compactor.stop();
  });

  it("are stored again by a retry where both they and their segment are damaged", async () => {
    const process = start();
    await process.compactor.compact(user);
    const [, , third = ""] = (await names()).filter((name) => !name.includes("-0000"));
    for (const name of [...(await segments()), third]) {
      await driver.delete(name);
      await driver.put(name, new TextEncoder().encode("something else"));
    }
    await process.log.append(user, client, 0, payloads);
    assert.deepEqual(await read(process), payloads);
    await process.compactor.stop();
  });

  it("are read, and not deleted, where their segment is lost or damaged meanwhile", async () => {
    for (const damage of [undefined, "something else"]) {
      const process = start();
      await process.compactor.compact(user);
      for (const name of await segments()) {
        await driver.delete(name);
        if (damage !== undefined) await driver.put(name, new TextEncoder().encode(damage));
      }
      assert.deepEqual(await read(process).catch(() => read(process)), payloads);
      time += 1_000;
      await process.compactor.compact(user);
      assert.deepEqual(await read(process), payloads);
      await process.compactor.stop();
    }
  });
});
