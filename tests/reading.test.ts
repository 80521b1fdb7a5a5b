import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { ObjectMissing } from "../storage/driver.ts";
import { MemoryDriver } from "../storage/memory.ts";
import { parseName } from "../storage/names.ts";
import { HookedDriver } from "./support/drivers.ts";
import { processOn, storeRun } from "./support/logs.ts";
import { operationsOf } from "./support/operations.ts";
import { newClient, someFingerprint } from "./support/users.ts";

describe("a reading", () => {
  let user = someFingerprint();
  let storage: MemoryDriver;
  let driver: HookedDriver;

  beforeEach(() => {
    user = someFingerprint();
    storage = new MemoryDriver();
    driver = new HookedDriver(storage);
  });

  it("leaves out no client when an object of any of them is missing twice in one place", async () => {
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
});
