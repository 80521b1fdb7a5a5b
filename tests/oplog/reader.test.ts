import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { OperationsLost } from "../../oplog/chunks.ts";
import { parseName } from "../../oplog/names.ts";
import type { Reading } from "../../oplog/reader.ts";
import { ObjectMissing } from "../../storage/driver.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { HookedDriver } from "../support/drivers.ts";
import { processOn, storeRun } from "../support/logs.ts";
import { operationsOf } from "../support/operations.ts";
import { newClient, someFingerprint } from "../support/users.ts";

describe("a reading", () => {
  let user = someFingerprint();
  let storage: MemoryDriver;
  let driver: HookedDriver;

  beforeEach(() => {
    user = someFingerprint();
    storage = new MemoryDriver();
    driver = new HookedDriver(storage);
  });

  it("delivers all clients although an object of one of them is missing twice in a row", async () => {
    const clients = [newClient(), newClient(), newClient()].sort();
    for (const client of clients) {
      for (let i = 0; i < 3; i++) await storeRun(storage, user, client, i, `${client} ${i}`);
    }
    for (const unlucky of clients) {
      let misses = 2;
      driver.before = ({ kind, name }) => {
        const { client, first } = parseName(name) ?? {};
        if (kind === "get" && client === unlucky && first === 0 && misses-- > 0) {
          throw new ObjectMissing(name);
        }
      };
      const { log } = processOn(driver, 30_000);
      const operations = await operationsOf(await log.read(user, new Map()));
      assert.equal(misses, -1);
      assert.deepEqual(
        operations,
        clients.flatMap((client) =>
          [0, 1, 2].map((i) => ({
            client_id: client,
            operation_index: i,
            payload: `${client} ${i}`,
          })),
        ),
      );
    }
  });

  it("reads segments that hold other payloads for the same operations with a handful of GETs", async () => {
    const client = newClient();
    const count = 500;
    for (const kind of ["first", "second"]) {
      const payloads = Array.from({ length: count }, (_, i) => `${kind} ${i}`.padEnd(1000));
      await storeRun(storage, user, client, 0, ...payloads);
    }
    const { log } = processOn(driver, 30_000);
    const operations = await operationsOf(await log.read(user, new Map()));
    assert.equal(operations.length, 2 * count);
    assert.equal(new Set(operations.map(({ payload }) => payload)).size, 2 * count);
    assert.ok(driver.count("get") <= 4, `${driver.count("get")} GETs`);
  });

  /** Stores operations that are too large to be sent together, and returns their names. */
  const storeLarge = async (client: string, count: number) => {
    const names: string[] = [];
    for (let i = 0; i < count; i++) {
      names.push(await storeRun(storage, user, client, i, `${i} `.padEnd(70_000)));
    }
    return names;
  };

  /** The indexes of the operations that are delivered, and the error that ends the reading. */
  const readToEnd = async ({ lines }: Reading) => {
    const indexes: number[] = [];
    const error = await (async () => {
      for await (const chunk of lines) {
        const text = Buffer.from(chunk).toString();
        for (const [, index] of text.matchAll(/"operation_index":(\d+)/g))
          indexes.push(Number(index));
      }
    })().catch((error: unknown) => error);
    return { indexes, error };
  };

  it("gets to its end although each object is missing once, because it makes progress each time", async () => {
    const names = new Set(await storeLarge(newClient(), 30));
    driver.before = ({ kind, name }) => {
      if (kind === "get" && names.delete(name)) throw new ObjectMissing(name);
    };
    const { log } = processOn(driver, 30_000);
    assert.equal((await operationsOf(await log.read(user, new Map()))).length, 30);
    assert.equal(names.size, 0);
  });

  it("sends nothing after an operation that is lost meanwhile", async () => {
    const names = await storeLarge(newClient(), 5);
    driver.before = async ({ kind, name }) => {
      if (kind === "get" && name === names[2]) await storage.delete(name);
    };
    const { log } = processOn(driver, 30_000);
    const { indexes, error } = await readToEnd(await log.read(user, new Map()));
    assert.deepEqual(indexes, [0, 1]);
    assert.ok(error instanceof OperationsLost, String(error));
  });

  it("sends no more lines than it has promised, where a fork came meanwhile, and then fails", async () => {
    const client = newClient();
    const names = await storeLarge(client, 3);
    let gone = false;
    driver.before = async ({ kind, name }) => {
      if (kind !== "get" || name !== names[1] || gone) return;
      gone = true;
      await storeRun(storage, user, client, 2, "fork");
      throw new ObjectMissing(name);
    };
    const { log } = processOn(driver, 30_000);
    const reading = await log.read(user, new Map());
    assert.equal(reading.count, 3);
    const { indexes, error } = await readToEnd(reading);
    assert.deepEqual(indexes, [0, 1]);
    assert.ok(error instanceof OperationsLost, String(error));
  });
});
