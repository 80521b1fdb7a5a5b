/** What a driver does with many objects, and in many calls. */
import assert from "node:assert/strict";
import { type Process, processOn } from "../../support/logs.ts";
import { operationsOf } from "../../support/operations.ts";
import { newClient, someFingerprint } from "../../support/users.ts";
import { type Declare, text } from "./place.ts";

export function declareMany(it: Declare): void {
  it("lists 2,020 objects completely and in order, without those of other partitions", async ({
    driver,
    names,
  }) => {
    const [user, other] = [someFingerprint(), someFingerprint()];
    const wanted = Array.from({ length: 2020 }, (_, i) => `${user}.${String(i).padStart(16, "0")}`);
    const queue = wanted.values();
    await driver.put(`${other}.x`, text("x"));
    await Promise.all(
      Array.from({ length: 32 }, async () => {
        for (const name of queue) await driver.put(name, text("payload"));
      }),
    );
    assert.deepEqual(
      await driver.list(`${user}.`),
      wanted.map((name) => ({ name, size: 7 })),
    );
    assert.deepEqual(await names(`${user}.00000000000020`), wanted.slice(2000));
    assert.deepEqual(await names(`${other}.`), [`${other}.x`]);
  });

  it("keeps a log complete for its readers while each append is followed by a compaction", async ({
    driver,
    names,
    place,
  }) => {
    const user = someFingerprint();
    const client = newClient();
    const second = typeof place.processes === "string" ? driver : await place.open();
    const limits = { operations: 2, bytes: 1000 };
    const writer = processOn(driver, Number.POSITIVE_INFINITY, { limits });
    const readers = [writer, processOn(driver, 0), processOn(second, 0)];
    const payloads: string[] = [];
    for (let i = 0; i < 24; i++) {
      // Some of them as batches.
      const some = Array.from({ length: i % 5 === 4 ? 3 : 1 }, (_, n) => `${i}.${n}`);
      await writer.log.append(user, client, payloads.length, some);
      payloads.push(...some);
      const expected = payloads.map((payload, operation_index) => ({
        client_id: client,
        operation_index,
        payload,
      }));
      const read = ({ log }: Process) => log.read(user, new Map());
      // Some list before the compaction and read after it, others read during it.
      const early = await Promise.all(readers.map(read));
      const compacting = writer.compactor.compact(user);
      const during = Promise.all(readers.map(async (reader) => operationsOf(await read(reader))));
      await Promise.all([compacting, during]);
      const all = [...(await during), ...(await Promise.all(early.map(operationsOf)))];
      for (const operations of all) assert.deepEqual(operations, expected);
    }
    assert.ok((await names(`${user}.`)).length < payloads.length / 2, "it was packed");
    assert.ok(writer.telemetry.value("compaction", "deleted") > 20);
    if (second !== driver) await second.close();
  });
}
