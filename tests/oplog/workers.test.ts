import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { forEachLimited } from "../../oplog/workers.ts";

describe("limited workers", () => {
  it("work on each item once, and never on more than the limit at a time", async () => {
    const done: number[] = [];
    let running = 0;
    await forEachLimited([1, 2, 3, 4, 5], 2, async (item) => {
      running++;
      assert.ok(running <= 2);
      await sleep(1);
      running--;
      done.push(item);
    });
    assert.deepEqual(done.sort(), [1, 2, 3, 4, 5]);
  });

  it("begin nothing after a failure, and fail only once nothing is under way", async () => {
    const events: string[] = [];
    const failing = forEachLimited(["fails", "slow", "never"], 2, async (item) => {
      events.push(`${item} begins`);
      if (item === "fails") throw new Error(item);
      await sleep(20);
      events.push(`${item} ends`);
    });
    await assert.rejects(failing, /^Error: fails$/);
    assert.deepEqual(events, ["fails begins", "slow begins", "slow ends"]);
  });
});
