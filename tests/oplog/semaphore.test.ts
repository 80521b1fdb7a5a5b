import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Semaphore } from "../../oplog/compaction/semaphore.ts";
import { gate } from "../support/drivers.ts";

describe("a semaphore", () => {
  it("runs as many pieces of work at once as it was made for, also after a failure", async () => {
    const semaphore = new Semaphore(2);
    const gates = Array.from({ length: 5 }, () => gate());
    let [running, most] = [0, 0];
    const all = gates.map(({ opened }, i) =>
      semaphore.run(async () => {
        most = Math.max(most, ++running);
        await opened;
        running--;
        if (i === 0) throw new Error("failed");
        return i;
      }),
    );
    for (const { open } of gates) open();
    const outcomes = await Promise.allSettled(all);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["rejected", ...Array<string>(4).fill("fulfilled")],
    );
    assert.equal(most, 2);
  });

  it("runs urgent work before all other work that waits, and otherwise in order", async () => {
    const semaphore = new Semaphore(1);
    const order: string[] = [];
    const { opened, open } = gate();
    const note = (name: string) => async () => {
      order.push(name);
    };
    const all = [
      semaphore.run(() => opened),
      semaphore.run(note("first")),
      semaphore.run(note("second")),
      semaphore.runFirst(note("urgent")),
      semaphore.runFirst(note("urgent too")),
    ];
    open();
    await Promise.all(all);
    assert.deepEqual(order, ["urgent", "urgent too", "first", "second"]);
  });
});
