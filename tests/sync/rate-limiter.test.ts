import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { RateLimiter } from "../../sync/rate-limiter.ts";
import { RecordingTelemetry } from "../support/telemetry.ts";

const MIB = 1024 * 1024;

/** A limiter and its clock, in seconds. */
function limiterOf(options: { rate: number; burst: number; maxBuckets?: number }) {
  let seconds = 0;
  const telemetry = new RecordingTelemetry();
  const limiter = new RateLimiter({
    maxBuckets: 100,
    ...options,
    now: () => seconds * 1000,
    telemetry,
  });
  return {
    limiter,
    telemetry,
    wait: (more: number) => {
      seconds += more;
    },
    /** How many requests without bytes are admitted, one after the other. */
    admitted: (user = "a"): number => {
      let count = 0;
      while (count < 1000 && limiter.admit(user, 0).admitted) count++;
      return count;
    },
  };
}

describe("the token bucket of a user", () => {
  it("is full at first and admits one request for each whole token", () => {
    const { limiter, telemetry } = limiterOf({ rate: 0.5, burst: 2 });
    const verdicts = [1, 2, 3].map(() => limiter.admit("a", 0));
    assert.deepEqual(verdicts, [
      { admitted: true, remaining: 1, fullIn: 2, retryAfter: 0 },
      { admitted: true, remaining: 0, fullIn: 4, retryAfter: 0 },
      { admitted: false, remaining: 0, fullIn: 4, retryAfter: 2 },
    ]);
    assert.equal(telemetry.value("rate_limited"), 1);
  });

  it("refuses until there is a whole token, and admits at that moment", () => {
    const { limiter, wait, admitted } = limiterOf({ rate: 0.5, burst: 2 });
    admitted();
    wait(1.999);
    assert.deepEqual(limiter.admit("a", 0), {
      admitted: false,
      remaining: 0,
      fullIn: 3,
      retryAfter: 1,
    });
    wait(0.001);
    assert.equal(limiter.admit("a", 0).admitted, true);
    assert.equal(limiter.admit("a", 0).retryAfter, 2);
  });

  it("charges nothing for a request that it refuses", () => {
    const { limiter, wait, admitted } = limiterOf({ rate: 1, burst: 3 });
    admitted();
    for (let i = 0; i < 100; i++) assert.equal(limiter.admit("a", 50 * MIB).retryAfter, 1);
    wait(1);
    assert.equal(admitted(), 1);
  });

  it("fills at its rate, never above its burst", () => {
    const { wait, admitted } = limiterOf({ rate: 2, burst: 10 });
    assert.equal(admitted(), 10);
    wait(3.5);
    assert.equal(admitted(), 7);
    wait(1_000_000);
    assert.equal(admitted(), 10);
  });

  it("is charged a token for each MiB received and for each MiB sent", () => {
    const { limiter } = limiterOf({ rate: 1, burst: 10 });
    assert.equal(limiter.admit("a", 2.5 * MIB).remaining, 6);
    limiter.charge("a", 2.5 * MIB);
    assert.equal(limiter.admit("a", 0).remaining, 3);
  });

  it("admits a request whatever it costs, and has the debt paid back before the next", () => {
    const { limiter, wait } = limiterOf({ rate: 2, burst: 10 });
    assert.deepEqual(limiter.admit("a", 15 * MIB), {
      admitted: true,
      remaining: 0,
      fullIn: 8,
      retryAfter: 0,
    });
    limiter.charge("a", 14 * MIB);
    // 20 tokens of debt and the one for the request: 10.5 s.
    assert.equal(limiter.admit("a", 0).retryAfter, 11);
    wait(10);
    assert.equal(limiter.admit("a", 0).retryAfter, 1);
    wait(0.5);
    assert.equal(limiter.admit("a", 0).admitted, true);
  });

  it("is refunded for bytes that were not sent, never above its burst", () => {
    const { limiter, admitted } = limiterOf({ rate: 1, burst: 10 });
    limiter.admit("a", 0);
    limiter.charge("a", 20 * MIB);
    assert.equal(limiter.admit("a", 0).admitted, false);
    limiter.charge("a", -16 * MIB);
    assert.equal(admitted(), 5);
    limiter.charge("a", -100 * MIB);
    assert.equal(admitted(), 10);
  });

  it("is separate for each user", () => {
    const { limiter, admitted } = limiterOf({ rate: 1, burst: 3 });
    assert.equal(admitted("a"), 3);
    limiter.charge("a", 100 * MIB);
    assert.equal(admitted("b"), 3);
  });
});

describe("when there is no room for another bucket", () => {
  it("a new name is refused, rather than a bucket that is not full evicted", () => {
    const { limiter, admitted } = limiterOf({ rate: 0.5, burst: 3, maxBuckets: 2 });
    assert.equal(admitted("a"), 3);
    assert.equal(limiter.admit("b", 0).admitted, true);
    for (let i = 0; i < 20; i++) {
      assert.deepEqual(limiter.admit(`newcomer ${i}`, 0), {
        admitted: false,
        remaining: 0,
        fullIn: 6,
        retryAfter: 2,
      });
      limiter.charge(`newcomer ${i}`, MIB);
    }
    assert.equal(admitted("a"), 0);
    assert.equal(admitted("b"), 2);
  });

  it("a full bucket is evicted, wherever it stands", () => {
    const { limiter, wait, admitted } = limiterOf({ rate: 1, burst: 3, maxBuckets: 3 });
    for (const user of ["a", "b", "c"]) limiter.admit(user, 0);
    limiter.charge("a", 10 * MIB);
    limiter.charge("c", 10 * MIB);
    wait(1);
    assert.equal(admitted("newcomer"), 3);
    // The others, which were not full, are still there.
    assert.equal(limiter.admit("a", 0).retryAfter, 8);
    assert.equal(limiter.admit("c", 0).retryAfter, 8);
  });
});

describe("any requests in any order", () => {
  // In these units all sums are exact: sixteenths of a second and of a MiB.
  const RATE = 4;
  const BURST = 16;
  const step = fc.record({
    user: fc.constantFrom("a", "b"),
    action: fc.constantFrom("admit", "charge", "wait"),
    sixteenths: fc.integer({ min: 0, max: 128 }),
    sign: fc.constantFrom(1, -1),
  });

  it("are limited as by a simple bucket for each user", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const { limiter, wait } = limiterOf({ rate: RATE, burst: BURST });
        const model = new Map<string, number>();
        const tokensOf = (user: string) => model.get(user) ?? BURST;
        for (const { user, action, sixteenths, sign } of steps) {
          const amount = sixteenths / 16;
          if (action === "wait") {
            wait(amount);
            for (const [name, tokens] of model) {
              model.set(name, Math.min(BURST, tokens + amount * RATE));
            }
          } else if (action === "charge") {
            limiter.charge(user, sign * amount * MIB);
            model.set(user, Math.min(BURST, tokensOf(user) - sign * amount));
          } else {
            const admitted = tokensOf(user) >= 1;
            if (admitted) model.set(user, tokensOf(user) - 1 - amount);
            const left = tokensOf(user);
            assert.deepEqual(limiter.admit(user, amount * MIB), {
              admitted,
              remaining: Math.max(0, Math.floor(left)),
              fullIn: Math.ceil((BURST - left) / RATE),
              retryAfter: admitted ? 0 : Math.max(1, Math.ceil((1 - left) / RATE)),
            });
          }
        }
      }),
    );
  });

  it("are admitted after the wait that the refusal says", () => {
    const rate = fc.double({ min: 0.001, max: 1000, noNaN: true });
    const debt = fc.nat(1000 * MIB);
    fc.assert(
      fc.property(rate, debt, (rate, debt) => {
        const { limiter, wait } = limiterOf({ rate, burst: 1 });
        limiter.admit("a", debt);
        const { retryAfter } = limiter.admit("a", 0);
        wait(retryAfter);
        assert.equal(limiter.admit("a", 0).admitted, true);
      }),
    );
  });
});
