import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { filterInSlices, Slices, sortInSlices } from "../../storage/slices.ts";
import { turnsDuring } from "../support/turns-during.ts";

const isBefore = (a: string, b: string) => a < b;

/** Different texts with a long common beginning, in an order that only looks random. */
function texts(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${"-".repeat(90)}${(i * 7919) % count}`);
}

describe("work in slices", () => {
  it("sorts as the runtime does, whatever the number and the order", async () => {
    for (const count of [0, 1, 2, 3, 2047, 2048, 2049, 6143, 10_007]) {
      const some = texts(count);
      const sorted = some.toSorted();
      assert.deepEqual(await sortInSlices(some, isBefore), sorted);
      assert.deepEqual(await sortInSlices(sorted, isBefore), sorted);
      assert.deepEqual(await sortInSlices(sorted.toReversed(), isBefore), sorted);
      assert.deepEqual(some, texts(count), "what was given stays as it was");
    }
  });

  it("filters in order", async () => {
    const some = texts(5000);
    const passes = (text: string) => text.endsWith("7");
    assert.deepEqual(await filterInSlices(some, passes), some.filter(passes));
  });

  it("lets other work run in between", async () => {
    const some = texts(100_000);
    assert.ok((await turnsDuring(() => sortInSlices(some, isBefore))) > 2);
    assert.ok((await turnsDuring(() => filterInSlices(some, (text) => /7+$/.test(text)))) > 2);
  });

  it("goes on at once while a slice lasts, and waits once it is over", async () => {
    const slices = new Slices();
    assert.equal(slices.next(), undefined);
    let pause: Promise<void> | undefined;
    for (let pieces = 1; pause === undefined; pieces *= 2) pause = slices.next(pieces);
    await pause;
    assert.equal(slices.next(), undefined);
  });
});
