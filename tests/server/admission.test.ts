import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { NoRoom } from "../../oplog/prefetch.ts";
import { Admission, type Slot } from "../../server/http/admission.ts";

/** What each request may hold without asking. */
const FREE = 64 * 1024;

/** Enters as often as it is let in. */
function enterAll(admission: Admission, address: string): Slot[] {
  const slots: Slot[] = [];
  for (;;) {
    const slot = admission.enter(address);
    if (slot === undefined) return slots;
    slots.push(slot);
  }
}

/** A slot that must be there. */
function entered(admission: Admission, address = "a"): Slot {
  const slot = admission.enter(address);
  assert.ok(slot);
  return slot;
}

describe("requests in flight", () => {
  it("are half of all at most from one address, and the next gets half of the rest", () => {
    const admission = new Admission({ maxRequests: 100, maxBuffered: 0, patience: 60_000 });
    assert.equal(enterAll(admission, "a").length, 50);
    assert.equal(enterAll(admission, "b").length, 25);
    assert.equal(enterAll(admission, "c").length, 13);
    assert.equal(enterAll(admission, "a").length, 0);
  });

  it("come to be shared alike by addresses that want all, and as many are left", () => {
    const admission = new Admission({ maxRequests: 100, maxBuffered: 0, patience: 60_000 });
    const greedy = Array.from({ length: 9 }, (_, i) => ({
      address: `greedy ${i}`,
      slots: enterAll(admission, `greedy ${i}`),
    }));
    for (let round = 0; round < 100; round++) {
      for (const { address, slots } of greedy) {
        slots.shift()?.leave();
        slots.push(...enterAll(admission, address));
      }
    }
    for (const { slots } of greedy) assert.equal(slots.length, 10);
    assert.equal(admission.requests, 90);
    assert.ok(admission.enter("somebody else"));
  });

  it("make room when they leave, once each", () => {
    const admission = new Admission({ maxRequests: 10, maxBuffered: 0, patience: 60_000 });
    const [first] = enterAll(admission, "a");
    assert.equal(admission.requests, 5);
    first?.leave();
    first?.leave();
    assert.equal(admission.requests, 4);
    assert.equal(enterAll(admission, "a").length, 1);
  });
});

describe("bytes in memory", () => {
  it("are not counted up to 64 KiB a request", () => {
    const admission = new Admission({ maxRequests: 100, maxBuffered: 10, patience: 60_000 });
    const slots = enterAll(admission, "a");
    for (const slot of slots) assert.ok(slot.tryHold(FREE));
    assert.equal(admission.bytes, 0);
    assert.ok(slots[0]?.tryHold(3));
    assert.equal(admission.bytes, 3);
  });

  it("are half of all at most for one address", () => {
    const admission = new Admission({ maxRequests: 100, maxBuffered: 1000, patience: 60_000 });
    const [a, b] = [entered(admission, "a"), entered(admission, "b")];
    assert.ok(a.tryHold(FREE + 500));
    assert.equal(a.tryHold(1), false);
    assert.ok(b.tryHold(FREE + 250));
    assert.equal(b.tryHold(1), false);
    a.release(500);
    assert.ok(b.tryHold(1));
  });

  it("that are more than there is room for at all go by themselves", () => {
    const admission = new Admission({ maxRequests: 100, maxBuffered: 1000, patience: 60_000 });
    const [a, b] = [entered(admission, "a"), entered(admission, "b")];
    assert.ok(a.tryHold(FREE + 5000));
    assert.equal(b.tryHold(FREE + 1), false);
    a.leave();
    assert.ok(b.tryHold(FREE + 5000));
  });

  it("can be waited for, and come when others give theirs back", async () => {
    const admission = new Admission({ maxRequests: 100, maxBuffered: 1000, patience: 5000 });
    const [a, b, c] = [entered(admission), entered(admission), entered(admission)];
    assert.ok(a.tryHold(FREE + 500));
    const order: string[] = [];
    const waits = [
      b.hold(FREE + 400).then(() => order.push("b")),
      c.hold(FREE + 400).then(() => order.push("c")),
    ];
    await Promise.resolve();
    assert.deepEqual(order, []);
    a.leave();
    await waits[0];
    assert.deepEqual(order, ["b"]);
    b.leave();
    await waits[1];
    c.leave();
    assert.equal(admission.bytes, 0);
  });

  it("are waited for no longer than the patience lasts", async () => {
    const admission = new Admission({ maxRequests: 100, maxBuffered: 1000, patience: 20 });
    const [a, b] = [entered(admission), entered(admission)];
    assert.ok(a.tryHold(FREE + 500));
    await assert.rejects(b.hold(FREE + 600), NoRoom);
    assert.equal(admission.bytes, 500);
    a.leave();
    assert.equal(admission.bytes, 0, "nobody takes them who has given up");
    await b.hold(FREE + 600);
    assert.equal(admission.bytes, 600);
  });

  it("are no longer waited for by a request that has left", async () => {
    const admission = new Admission({ maxRequests: 100, maxBuffered: 1000, patience: 60_000 });
    const [a, b] = [entered(admission), entered(admission)];
    assert.ok(a.tryHold(FREE + 500));
    const waiting = b.hold(FREE + 500);
    b.leave();
    await waiting;
    assert.equal(admission.bytes, 500);
  });
});

describe("whatever requests do in whatever order", () => {
  const step = fc.record({
    address: fc.constantFrom("a", "b", "c"),
    action: fc.constantFrom("enter", "leave", "hold", "release"),
    pick: fc.nat(20),
    bytes: fc.nat(3 * FREE),
  });

  it("no bound is passed, what is held is counted, and all of it is given back", () => {
    const [maxRequests, maxBuffered] = [8, 4 * FREE];
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const admission = new Admission({ maxRequests, maxBuffered, patience: 60_000 });
        const slots: { slot: Slot; held: number }[] = [];
        for (const { address, action, pick, bytes } of steps) {
          const chosen = slots[pick % Math.max(1, slots.length)];
          if (action === "enter") {
            const slot = admission.enter(address);
            if (slot !== undefined) slots.push({ slot, held: 0 });
          } else if (chosen === undefined) continue;
          else if (action === "leave") {
            chosen.slot.leave();
            slots.splice(slots.indexOf(chosen), 1);
          } else if (action === "hold" && chosen.slot.tryHold(bytes)) chosen.held += bytes;
          else if (action === "release") {
            const less = Math.min(bytes, chosen.held);
            chosen.slot.release(less);
            chosen.held -= less;
          }
          assert.equal(admission.requests, slots.length);
          assert.ok(slots.length <= maxRequests);
          const counted = slots.reduce((sum, { held }) => sum + Math.max(0, held - FREE), 0);
          assert.equal(admission.bytes, counted);
          assert.ok(counted <= maxBuffered);
        }
        for (const { slot } of slots) slot.leave();
        assert.deepEqual([admission.requests, admission.bytes, admission.addresses], [0, 0, 0]);
      }),
    );
  });
});
