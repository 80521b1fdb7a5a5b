import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { gate } from "../support/drivers.ts";
import { WorkQueue } from "./queue.ts";

describe("a queue of works", () => {
  it("does so many at once, and next the one of the lowest rank, of several the first", async () => {
    const queue = new WorkQueue(2);
    const begun: string[] = [];
    const works = new Map(
      ["a", "b", "late", "early", "as early"].map((name) => [name, gate()] as const),
    );
    const ranks = new Map([["late", 2]]);
    const done = [...works].map(([name, { opened }]) =>
      queue.run(ranks.get(name) ?? 1, async () => {
        begun.push(name);
        await opened;
        return name;
      }),
    );
    const expected = ["a", "b", "early", "as early", "late"];
    for (const [at, name] of expected.entries()) {
      await turns();
      assert.deepEqual(begun, expected.slice(0, at + 2));
      works.get(name)?.open();
    }
    assert.deepEqual(await Promise.all(done), [...works.keys()]);
  });

  it("goes on after a work that fails", async () => {
    const queue = new WorkQueue(1);
    const failing = queue.run(0, () => Promise.reject(new Error("a known failure")));
    const next = queue.run(0, async () => "done");
    await assert.rejects(failing, /a known failure/);
    assert.equal(await next, "done");
  });
});

/** Lets all go on that can. */
async function turns(): Promise<void> {
  await new Promise(setImmediate);
}
