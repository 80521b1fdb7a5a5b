import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KeyedQueue } from "../../oplog/keyed-queue.ts";
import { gate } from "../support/drivers.ts";

describe("the keyed queue", () => {
  it("runs work under one key one after the other, in the order it came, also after a failure", async () => {
    const queue = new KeyedQueue();
    const order: string[] = [];
    const first = gate();
    const work = (name: string, wait?: Promise<void>) => async () => {
      order.push(`${name} begins`);
      await wait;
      order.push(`${name} ends`);
      if (name === "b") throw new Error("b failed");
      return name;
    };
    const a = queue.run("key", work("a", first.opened));
    const b = queue.run("key", work("b"));
    const c = queue.run("key", work("c"));
    await queue.run("another key", work("d"));
    first.open();
    assert.equal(await a, "a");
    await assert.rejects(b, /b failed/);
    assert.equal(await c, "c");
    const inKey = order.filter((entry) => !entry.startsWith("d"));
    assert.deepEqual(inKey, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
    assert.ok(order.indexOf("d ends") < order.indexOf("a ends"));
  });
});
