import type { Cluster } from "../cluster/cluster.ts";
import type { AddressLimiter } from "./address-limiter.ts";
import { NewUsersLimited } from "./rate-limiter.ts";

/** Counts the users with nothing stored yet that start to store from a network address. */
export class NewUsers {
  readonly #limiter: AddressLimiter;
  readonly #cluster: Cluster | undefined;

  /** @param cluster the servers that count together; absent for a lone server */
  constructor(limiter: AddressLimiter, cluster?: Cluster) {
    this.#limiter = limiter;
    this.#cluster = cluster;
  }

  /** Counts a new user on this server alone, or returns why there may be none. */
  count(address: string): NewUsersLimited | undefined {
    const wait = this.#limiter.retryAfter(address);
    if (wait > 0) return new NewUsersLimited(wait);
    this.#limiter.charge(address, 1);
    return undefined;
  }

  /** As `count`, on all servers; `undefined` where this one is alone. */
  countShared(address: string): Promise<NewUsersLimited | undefined> | undefined {
    return this.#cluster && this.#countWith(this.#cluster, address);
  }

  async #countWith(cluster: Cluster, address: string): Promise<NewUsersLimited | undefined> {
    const buckets = this.#limiter.sharedBuckets(address);
    const taken = await cluster.take({ buckets, tokens: 1, onlyIfLeft: true });
    if (taken === undefined) return this.count(address);
    if (taken.taken) {
      // Should the cluster be lost, this server goes on from here.
      this.#limiter.charge(address, 1);
      return undefined;
    }
    const waits = buckets.map(({ rate }, i) => (1 - (taken.tokens[i] ?? 0)) / rate);
    return new NewUsersLimited(Math.max(1, Math.ceil(Math.max(...waits))));
  }
}
