import type { Cluster, SharedBucket } from "../cluster/cluster.ts";
import {
  BYTES_PER_TOKEN,
  type RateLimiter,
  type RateStatus,
  type Verdict,
} from "./rate-limiter.ts";

/**
 * Token buckets that all servers share. The local ones follow them, and decide where the cluster cannot be
 * reached.
 */
export class SharedRateLimiter {
  readonly #cluster: Cluster;
  readonly #local: RateLimiter;

  constructor(cluster: Cluster, local: RateLimiter) {
    this.#cluster = cluster;
    this.#local = local;
  }

  get policy(): RateLimiter["policy"] {
    return this.#local.policy;
  }

  /** As `RateLimiter.admit`. */
  async admit(name: string, bytes: number): Promise<Verdict> {
    const taken = await this.#cluster.take({
      buckets: [this.#bucket(name)],
      tokens: 1 + bytes / BYTES_PER_TOKEN,
      onlyIfLeft: true,
    });
    const [tokens] = taken?.tokens ?? [];
    if (taken === undefined || tokens === undefined) return this.#local.admit(name, bytes);
    return this.#local.follow(name, tokens, taken.taken);
  }

  /** As `RateLimiter.status`, by what was last seen here. */
  status(name: string): RateStatus {
    return this.#local.status(name);
  }

  /** As `RateLimiter.charge`. */
  charge(name: string, bytes: number): void {
    this.#local.charge(name, bytes);
    void this.#cluster.take({
      buckets: [this.#bucket(name)],
      tokens: bytes / BYTES_PER_TOKEN,
      onlyIfLeft: false,
    });
  }

  #bucket(name: string): SharedBucket {
    return { name: `rate:${name}`, rate: this.#local.rate, burst: this.#local.burst };
  }
}
