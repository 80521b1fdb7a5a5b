import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BudgetExhausted, prefetch } from "../../oplog/prefetch.ts";
import { gate } from "../support/drivers.ts";

/** Reads the numbers 0 … count−1; a gate ends each read. */
function numbers(count: number, options: { maxItems?: number; maxBytes?: number; bytes?: number }) {
  const gates = Array.from({ length: count }, () => gate());
  const begun: number[] = [];
  const results = prefetch(Array.from({ length: count }, (_, i) => i).values(), {
    read: async (item) => {
      begun.push(item);
      await gates[item]?.opened;
      if (item === 13) throw new Error("thirteen");
      return item * 10;
    },
    bytes: () => options.bytes ?? 1,
    maxItems: options.maxItems ?? 4,
    maxBytes: options.maxBytes ?? 1000,
  });
  return { gates, begun, results };
}

describe("prefetch", () => {
  it("yields in order, whatever order the reads end in, and reads no more than maxItems ahead", async () => {
    const { gates, begun, results } = numbers(10, {});
    for (const { open } of gates.toReversed()) open();
    const taken: number[] = [];
    for await (const result of results) {
      taken.push(result);
      assert.ok(begun.length <= taken.length + 4);
    }
    assert.deepEqual(taken, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
  });

  it("yields the first result before it begins the last read", async () => {
    const { gates, begun, results } = numbers(10, {});
    gates[0]?.open();
    assert.equal((await results.next()).value, 0);
    assert.ok(!begun.includes(9));
  });

  it("begins with one read, so that nothing delays it, and then doubles", async () => {
    const { gates, begun, results } = numbers(10, {});
    for (const { open } of gates) open();
    await results.next();
    assert.deepEqual(begun, [0]);
    await results.next();
    assert.equal(begun.length, 4);
    await results.next();
    assert.equal(begun.length, 7);
  });

  it("reads ahead while the caller uses a result, and counts that result against maxBytes", async () => {
    const { gates, begun, results } = numbers(10, { maxBytes: 3 });
    for (const { open } of gates) open();
    for (let taken = 1; taken <= 5; taken++) {
      await results.next();
      // The caller's result is one of the three; before the first, no other is read.
      assert.equal(begun.length, taken === 1 ? 1 : taken + 2);
    }
  });

  it("holds at most maxBytes, and reads a larger item alone", async () => {
    const bounded = numbers(20, { maxItems: 16, maxBytes: 3 });
    for (const { open } of bounded.gates.slice(0, 8)) open();
    for (let taken = 1; taken <= 8; taken++) {
      await bounded.results.next();
      assert.ok(bounded.begun.length <= taken + 2);
    }
    assert.equal(bounded.begun.length, 10);
    const large = numbers(3, { maxBytes: 3, bytes: 100 });
    large.gates[0]?.open();
    await large.results.next();
    assert.deepEqual(large.begun, [0]);
  });

  it("begins nothing more once the reader has stopped", async () => {
    const { gates, begun, results } = numbers(100, {});
    for (const { open } of gates) open();
    await results.next();
    const atStop = begun.length;
    await results.return();
    await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(begun.length, atStop);
  });

  it("frees the memory of all items when the caller stops or a read fails", async () => {
    for (const ending of ["the end", "a stop", "a failure"]) {
      let held = 0;
      const results = prefetch(Array.from({ length: 20 }, (_, i) => i).values(), {
        read: async (item) => {
          if (ending === "a failure" && item === 12) throw new Error("unreadable");
          return item;
        },
        bytes: (item) => 100 + item,
        maxItems: 4,
        maxBytes: 1000,
        budget: {
          tryReserve: (bytes) => {
            held += bytes;
            return true;
          },
          reserve: async (bytes) => {
            held += bytes;
          },
          free: (bytes) => {
            held -= bytes;
          },
        },
      });
      const reading = async () => {
        for await (const item of results) {
          assert.ok(held >= 100);
          if (ending === "a stop" && item === 9) break;
        }
      };
      if (ending === "a failure") await assert.rejects(reading(), /unreadable/);
      else await reading();
      assert.equal(held, 0, ending);
    }
  });

  it("throws the error of a read in its place, after all earlier results", async () => {
    const { gates, results } = numbers(20, {});
    for (const { open } of gates.toReversed()) open();
    const taken: number[] = [];
    await assert.rejects(async () => {
      for await (const result of results) taken.push(result);
    }, /thirteen/);
    assert.equal(taken.length, 13);
  });

  it("fails without memory for the first item, and waits for memory later", async () => {
    for (const room of [0, 1]) {
      let left = room;
      const waits: number[] = [];
      const begun: number[] = [];
      const results = prefetch([0, 1].values(), {
        read: async (item) => begun.push(item),
        bytes: () => 1,
        maxItems: 4,
        maxBytes: 1000,
        budget: {
          tryReserve: (bytes) => {
            if (bytes > left) return false;
            left -= bytes;
            return true;
          },
          reserve: async (bytes) => {
            waits.push(bytes);
          },
          free: () => undefined,
        },
      });
      const all = async () => {
        for await (const _ of results);
      };
      if (room === 0) await assert.rejects(all(), BudgetExhausted);
      else await all();
      assert.deepEqual(begun, room === 0 ? [] : [0, 1]);
      assert.deepEqual(waits, room === 0 ? [] : [1]);
    }
  });
});
