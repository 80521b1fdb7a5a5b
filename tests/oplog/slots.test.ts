import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Slots } from "../../oplog/compaction/slots.ts";
import { gate } from "../support/drivers.ts";

describe("slots", () => {
  it("run as many pieces of work at once as there are, also after a failure", async () => {
    const slots = new Slots(2);
    const gates = Array.from({ length: 5 }, () => gate());
    let [running, most] = [0, 0];
    const all = gates.map(({ opened }, i) =>
      slots.run(async () => {
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

  it("run urgent work before all other work that waits, and otherwise in order", async () => {
    const slots = new Slots(1);
    const order: string[] = [];
    const { opened, open } = gate();
    const note = (name: string) => async () => {
      order.push(name);
    };
    const all = [
      slots.run(() => opened),
      slots.run(note("first")),
      slots.run(note("second")),
      slots.runFirst(note("urgent")),
      slots.runFirst(note("urgent too")),
    ];
    open();
    await Promise.all(all);
    assert.deepEqual(order, ["urgent", "urgent too", "first", "second"]);
  });
});
