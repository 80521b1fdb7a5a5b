import type { SharedBucket } from "../cluster/cluster.ts";
import { NO_TELEMETRY } from "../oplog/telemetry.ts";
import { BYTES_PER_TOKEN, RateLimiter } from "./rate-limiter.ts";

export interface AddressLimiterOptions {
  /** Tokens that an address gains in a second. */
  readonly rate: number;
  /** Tokens that an address can save up. */
  readonly burst: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/**
 * How much more a wider network may have than an address: IPv6 by /64, /56 and /48. A customer gets
 * one of the three, and nobody can tell which.
 */
const STEPS = [1, 4, 16];

const network = /^([0-9a-f]+:[0-9a-f]+:[0-9a-f]+):([0-9a-f]+)::\/64$/;

/** Limits by network address, and by the networks around it. */
export class AddressLimiter {
  readonly #steps: readonly RateLimiter[];

  constructor({ rate, burst, now }: AddressLimiterOptions) {
    this.#steps = STEPS.map(
      (times) =>
        new RateLimiter({ rate: rate * times, burst: burst * times, now, telemetry: NO_TELEMETRY }),
    );
  }

  /** Whole seconds until a token is left for an address and the networks around it; 0 where one is. */
  retryAfter(address: string): number {
    return Math.max(0, ...this.#buckets(address).map(([step, name]) => step.retryAfter(name)));
  }

  /** Takes tokens, whether they are left or not. */
  charge(address: string, tokens: number): void {
    for (const [step, name] of this.#buckets(address)) step.charge(name, tokens * BYTES_PER_TOKEN);
  }

  /** The same buckets, for servers that count together. */
  sharedBuckets(address: string): SharedBucket[] {
    return this.#buckets(address).map(([{ rate, burst }, name], i) => ({
      name: `address:${i}:${name}`,
      rate,
      burst,
    }));
  }

  /** The limiters that an address counts in, and its name in each. An IPv4 address stands alone. */
  #buckets(address: string): (readonly [RateLimiter, string])[] {
    const [, site = "", subnet = "0"] = network.exec(address) ?? [];
    const around = site === "" ? [] : [`${site}:${subnet.padStart(4, "0").slice(0, 2)}`, site];
    const names = [address, ...around];
    return this.#steps.flatMap((step, i) => {
      const name = names[i];
      return name === undefined ? [] : [[step, name] as const];
    });
  }
}
