import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { BudgetExhausted } from "../../oplog/prefetch.ts";
import { ConcurrencyLimiter, type Permit } from "../../server/http/concurrency-limiter.ts";

/** What each request may hold uncounted. */
const FREE = 64 * 1024;

/** Acquires permits until one is refused. */
function enterAll(limiter: ConcurrencyLimiter, address: string): Permit[] {
  const permits: Permit[] = [];
  for (;;) {
    const permit = limiter.acquire(address);
    if (permit === undefined) return permits;
    permits.push(permit);
  }
}

/** A permit that must be granted. */
function entered(limiter: ConcurrencyLimiter, address = "a"): Permit {
  const permit = limiter.acquire(address);
  assert.ok(permit);
  return permit;
}

describe("requests in flight", () => {
  it("T-43 are half of all at most from one address, and the next gets half of the rest", () => {
    const limiter = new ConcurrencyLimiter({
      maxRequests: 100,
      maxBuffered: 0,
      waitTimeout: 60_000,
    });
    assert.equal(enterAll(limiter, "a").length, 50);
    assert.equal(enterAll(limiter, "b").length, 25);
    assert.equal(enterAll(limiter, "c").length, 13);
    assert.equal(enterAll(limiter, "a").length, 0);
  });

  it("are shared equally in time by addresses that want all, with as many left", () => {
    const limiter = new ConcurrencyLimiter({
      maxRequests: 100,
      maxBuffered: 0,
      waitTimeout: 60_000,
    });
    const greedy = Array.from({ length: 9 }, (_, i) => ({
      address: `greedy ${i}`,
      permits: enterAll(limiter, `greedy ${i}`),
    }));
    for (let round = 0; round < 100; round++) {
      for (const { address, permits } of greedy) {
        permits.shift()?.release();
        permits.push(...enterAll(limiter, address));
      }
    }
    for (const { permits } of greedy) assert.equal(permits.length, 10);
    assert.equal(limiter.requests, 90);
    assert.ok(limiter.acquire("somebody else"));
  });

  it("make room when they are released, once each", () => {
    const limiter = new ConcurrencyLimiter({
      maxRequests: 10,
      maxBuffered: 0,
      waitTimeout: 60_000,
    });
    const [first] = enterAll(limiter, "a");
    assert.equal(limiter.requests, 5);
    first?.release();
    first?.release();
    assert.equal(limiter.requests, 4);
    assert.equal(enterAll(limiter, "a").length, 1);
  });
});

describe("bytes in memory", () => {
  it("are not counted up to 64 KiB a request", () => {
    const limiter = new ConcurrencyLimiter({
      maxRequests: 100,
      maxBuffered: 10,
      waitTimeout: 60_000,
    });
    const permits = enterAll(limiter, "a");
    for (const permit of permits) assert.ok(permit.tryReserve(FREE));
    assert.equal(limiter.bytes, 0);
    assert.ok(permits[0]?.tryReserve(3));
    assert.equal(limiter.bytes, 3);
  });

  it("are half of all at most for one address", () => {
    const limiter = new ConcurrencyLimiter({
      maxRequests: 100,
      maxBuffered: 1000,
      waitTimeout: 60_000,
    });
    const [a, b] = [entered(limiter, "a"), entered(limiter, "b")];
    assert.ok(a.tryReserve(FREE + 500));
    assert.equal(a.tryReserve(1), false);
    assert.ok(b.tryReserve(FREE + 250));
    assert.equal(b.tryReserve(1), false);
    a.free(500);
    assert.ok(b.tryReserve(1));
  });

  it("are granted beyond the maximum when nothing else is held", () => {
    const limiter = new ConcurrencyLimiter({
      maxRequests: 100,
      maxBuffered: 1000,
      waitTimeout: 60_000,
    });
    const [a, b] = [entered(limiter, "a"), entered(limiter, "b")];
    assert.ok(a.tryReserve(FREE + 5000));
    assert.equal(b.tryReserve(FREE + 1), false);
    a.release();
    assert.ok(b.tryReserve(FREE + 5000));
  });

  it("can be waited for, and are granted when others free theirs", async () => {
    const limiter = new ConcurrencyLimiter({
      maxRequests: 100,
      maxBuffered: 1000,
      waitTimeout: 5000,
    });
    const [a, b, c] = [entered(limiter), entered(limiter), entered(limiter)];
    assert.ok(a.tryReserve(FREE + 500));
    const order: string[] = [];
    const waits = [
      b.reserve(FREE + 400).then(() => order.push("b")),
      c.reserve(FREE + 400).then(() => order.push("c")),
    ];
    await Promise.resolve();
    assert.deepEqual(order, []);
    a.release();
    await waits[0];
    assert.deepEqual(order, ["b"]);
    b.release();
    await waits[1];
    c.release();
    assert.equal(limiter.bytes, 0);
  });

  it("are waited for no longer than the wait timeout", async () => {
    const limiter = new ConcurrencyLimiter({
      maxRequests: 100,
      maxBuffered: 1000,
      waitTimeout: 20,
    });
    const [a, b] = [entered(limiter), entered(limiter)];
    assert.ok(a.tryReserve(FREE + 500));
    await assert.rejects(b.reserve(FREE + 600), BudgetExhausted);
    assert.equal(limiter.bytes, 500);
    a.release();
    assert.equal(limiter.bytes, 0, "a request that has given up takes none");
    await b.reserve(FREE + 600);
    assert.equal(limiter.bytes, 600);
  });

  it("are no longer waited for by a request that was released", async () => {
    const limiter = new ConcurrencyLimiter({
      maxRequests: 100,
      maxBuffered: 1000,
      waitTimeout: 60_000,
    });
    const [a, b] = [entered(limiter), entered(limiter)];
    assert.ok(a.tryReserve(FREE + 500));
    const waiting = b.reserve(FREE + 500);
    b.release();
    await waiting;
    assert.equal(limiter.bytes, 500);
  });
});

describe("any requests in any order", () => {
  const step = fc.record({
    address: fc.constantFrom("a", "b", "c"),
    action: fc.constantFrom("enter", "leave", "hold", "release"),
    pick: fc.nat(20),
    bytes: fc.nat(3 * FREE),
  });

  it("stay within every bound, are counted, and free all they held", () => {
    const [maxRequests, maxBuffered] = [8, 4 * FREE];
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const limiter = new ConcurrencyLimiter({ maxRequests, maxBuffered, waitTimeout: 60_000 });
        const permits: { permit: Permit; held: number }[] = [];
        for (const { address, action, pick, bytes } of steps) {
          const chosen = permits[pick % Math.max(1, permits.length)];
          if (action === "enter") {
            const permit = limiter.acquire(address);
            if (permit !== undefined) permits.push({ permit, held: 0 });
          } else if (chosen === undefined) continue;
          else if (action === "leave") {
            chosen.permit.release();
            permits.splice(permits.indexOf(chosen), 1);
          } else if (action === "hold" && chosen.permit.tryReserve(bytes)) chosen.held += bytes;
          else if (action === "release") {
            const less = Math.min(bytes, chosen.held);
            chosen.permit.free(less);
            chosen.held -= less;
          }
          assert.equal(limiter.requests, permits.length);
          assert.ok(permits.length <= maxRequests);
          const counted = permits.reduce((sum, { held }) => sum + Math.max(0, held - FREE), 0);
          assert.equal(limiter.bytes, counted);
          assert.ok(counted <= maxBuffered);
        }
        for (const { permit } of permits) permit.release();
        assert.deepEqual([limiter.requests, limiter.bytes, limiter.addresses], [0, 0, 0]);
      }),
    );
  });
});
