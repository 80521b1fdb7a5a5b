import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryHub } from "../../cluster/memory.ts";
import { NO_TELEMETRY } from "../../oplog/telemetry.ts";
import { BYTES_PER_TOKEN, RateLimiter } from "../../sync/rate-limiter.ts";
import { SharedRateLimiter } from "../../sync/shared-rate-limiter.ts";

describe("the rate limit of a user on two servers", () => {
  /** Buckets of ten tokens that do not fill. */
  const twoServers = () => {
    const hub = new MemoryHub(() => 0);
    const limiter = () => {
      const local = new RateLimiter({
        rate: 1,
        burst: 10,
        now: () => 0,
        telemetry: NO_TELEMETRY,
      });
      return new SharedRateLimiter(hub.join(), local);
    };
    return { hub, a: limiter(), b: limiter() };
  };

  it("is one for both, in requests, in what they bring, and in what they are sent", async () => {
    const { a, b } = twoServers();
    assert.equal((await a.admit("user", 0)).remaining, 9);
    assert.equal((await b.admit("user", 2 * BYTES_PER_TOKEN)).remaining, 6);
    a.charge("user", 3 * BYTES_PER_TOKEN);
    assert.equal((await b.admit("user", 0)).remaining, 2);
    b.charge("user", -BYTES_PER_TOKEN);
    assert.equal((await a.admit("user", 0)).remaining, 2);
    assert.equal((await a.admit("other", 0)).remaining, 9);
  });

  it("goes on in each of them from where they were together, when the cluster is lost", async () => {
    const { hub, a, b } = twoServers();
    for (let i = 0; i < 4; i++) await b.admit("user", 0);
    await a.admit("user", 0);
    assert.equal(a.status("user").remaining, 5);
    hub.reachable = false;
    assert.equal((await a.admit("user", 0)).remaining, 4);
    assert.equal((await b.admit("user", 0)).remaining, 5);
  });
});
