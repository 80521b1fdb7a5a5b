import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { KeyedQueue } from "../../oplog/keyed-queue.ts";
import { BudgetExhausted, prefetch } from "../../oplog/prefetch.ts";
import { gate } from "../support/drivers.ts";

/** Reads the numbers 0 … count−1, each ended by hand. */
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

describe("reading ahead", () => {
  it("delivers in order, whatever order the reads end in, and begins no more than it may", async () => {
    const { gates, begun, results } = numbers(10, {});
    for (const { open } of gates.toReversed()) open();
    const taken: number[] = [];
    for await (const result of results) {
      taken.push(result);
      assert.ok(begun.length <= taken.length + 4);
    }
    assert.deepEqual(taken, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90]);
  });

  it("delivers the first before the last is begun", async () => {
    const { gates, begun, results } = numbers(10, {});
    gates[0]?.open();
    assert.equal((await results.next()).value, 0);
    assert.ok(!begun.includes(9));
  });

  it("begins with one, so that nothing holds the first up, and then with more and more", async () => {
    const { gates, begun, results } = numbers(10, {});
    for (const { open } of gates) open();
    await results.next();
    assert.deepEqual(begun, [0]);
    await results.next();
    assert.equal(begun.length, 4);
    await results.next();
    assert.equal(begun.length, 7);
  });

  it("reads the next while the caller is at one, within the bound for both", async () => {
    const { gates, begun, results } = numbers(10, { maxBytes: 3 });
    for (const { open } of gates) open();
    for (let taken = 1; taken <= 5; taken++) {
      await results.next();
      // What the caller has is one of the three; before it has the first, no other is read.
      assert.equal(begun.length, taken === 1 ? 1 : taken + 2);
    }
  });

  it("bounds the bytes it holds, and reads an item alone that is larger", async () => {
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

  it("gives back the memory of all that it has not handed over, when the reader stops or a read fails", async () => {
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

  it("throws the error of a read in its place, after all that came before", async () => {
    const { gates, results } = numbers(20, {});
    for (const { open } of gates.toReversed()) open();
    const taken: number[] = [];
    await assert.rejects(async () => {
      for await (const result of results) taken.push(result);
    }, /thirteen/);
    assert.equal(taken.length, 13);
  });

  it("does not wait for memory to begin in, and waits for it once it has begun", async () => {
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

describe("turns", () => {
  it("run one after the other under one key, in the order they came, also after a failure", async () => {
    const turns = new KeyedQueue();
    const order: string[] = [];
    const first = gate();
    const work = (name: string, wait?: Promise<void>) => async () => {
      order.push(`${name} begins`);
      await wait;
      order.push(`${name} ends`);
      if (name === "b") throw new Error("b failed");
      return name;
    };
    const a = turns.run("key", work("a", first.opened));
    const b = turns.run("key", work("b"));
    const c = turns.run("key", work("c"));
    await turns.run("another key", work("d"));
    first.open();
    assert.equal(await a, "a");
    await assert.rejects(b, /b failed/);
    assert.equal(await c, "c");
    const inKey = order.filter((entry) => !entry.startsWith("d"));
    assert.deepEqual(inKey, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
    assert.ok(order.indexOf("d ends") < order.indexOf("a ends"));
  });
});
