import type { LRUCache } from "lru-cache";
import type { Telemetry } from "../oplog/telemetry.ts";
import { lruOf } from "../storage/lru.ts";

export interface RateLimiterOptions {
  /** Tokens a bucket gains in a second. */
  readonly rate: number;
  /** Tokens a full bucket holds. */
  readonly burst: number;
  /** How many buckets are kept. */
  readonly maxBuckets?: number;
  /** Counts the refusals; absent where they are not to be counted. */
  readonly telemetry: Telemetry;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** The decision about a request. Times are in whole seconds. */
export interface Verdict {
  readonly admitted: boolean;
  /** Whole tokens left. */
  readonly remaining: number;
  /** Until the bucket is full again. */
  readonly fullIn: number;
  /** Until a request will be admitted; 0 when this one is. */
  readonly retryAfter: number;
}

/** The state of a bucket after a request, and its limit. Times are in whole seconds. */
export interface RateStatus {
  /** The whole tokens that a full bucket holds. */
  readonly quota: number;
  /** How long an empty bucket takes to fill. */
  readonly window: number;
  /** Whole tokens left. */
  readonly remaining: number;
  /** Until the bucket is full again. */
  readonly fullIn: number;
}

/** Refused: the user has no token left. */
export class RateLimited extends Error {
  override name = "RateLimited";
  readonly code = "rate-limited";
  /** In seconds. */
  readonly retryAfter: number;
  readonly rate: RateStatus;
  constructor(retryAfter: number, rate: RateStatus) {
    super("the user has no token left");
    this.retryAfter = retryAfter;
    this.rate = rate;
  }
}

/** Refused: too many new users have come from one network address. */
export class NewUsersLimited extends Error {
  override name = "NewUsersLimited";
  readonly code = "new-users-limited";
  /** In seconds. */
  readonly retryAfter: number;
  constructor(retryAfter: number) {
    super("too many new users have come from this network address");
    this.retryAfter = retryAfter;
  }
}

/** Limits what users send and take, on this server or on all of them. */
export interface UserLimiter {
  readonly policy: RateLimiter["policy"];
  /** Admits a request with a body of `bytes` and charges for it, or refuses it at no charge. */
  admit(name: string, bytes: number): Verdict | Promise<Verdict>;
  /** The state of a bucket now. */
  status(name: string): RateStatus;
  /** Charges an admitted request for `bytes` about to be sent; negative bytes are a refund. */
  charge(name: string, bytes: number): void;
}

interface Bucket {
  /** Below zero after a request that cost more than was left. */
  tokens: number;
  at: number;
}

/** A token pays for this many bytes. */
export const BYTES_PER_TOKEN = 1024 * 1024;

/** How many of the least recently used buckets are tried for one that may be evicted. */
const EVICTION_TRIES = 8;

/**
 * Token buckets by name: of users, or of network addresses. A request costs 1 token, and 1 for each
 * MiB moved. It is admitted while a whole token is left, whatever it turns out to cost: the debt is
 * paid back before the next.
 */
export class RateLimiter implements UserLimiter {
  /** The whole tokens that a full bucket holds, and the seconds in which an empty one fills up. */
  readonly policy: { readonly quota: number; readonly window: number };
  readonly #options: RateLimiterOptions;
  readonly #maxBuckets: number;
  readonly #buckets: LRUCache<string, Bucket>;

  constructor(options: RateLimiterOptions) {
    this.#options = options;
    const { rate, burst } = options;
    this.policy = { quota: Math.floor(burst), window: Math.ceil(burst / rate) };
    this.#maxBuckets = options.maxBuckets ?? 100_000;
    this.#buckets = lruOf(this.#maxBuckets);
  }

  /** Tokens a bucket gains in a second. */
  get rate(): number {
    return this.#options.rate;
  }

  /** Tokens a full bucket holds. */
  get burst(): number {
    return this.#options.burst;
  }

  /** Admits a request with a body of `bytes` and charges for it, or refuses it at no charge. */
  admit(name: string, bytes: number): Verdict {
    const bucket = this.#bucket(name);
    const admitted = bucket !== undefined && bucket.tokens >= 1;
    if (admitted) bucket.tokens -= 1 + bytes / BYTES_PER_TOKEN;
    return this.#verdict(admitted, bucket?.tokens ?? 0);
  }

  /** Takes over what a bucket shared with other servers has, and what was decided by it. */
  follow(name: string, tokens: number, admitted: boolean): Verdict {
    const bucket = this.#bucket(name);
    if (bucket !== undefined) bucket.tokens = tokens;
    return this.#verdict(admitted, tokens);
  }

  #verdict(admitted: boolean, tokens: number): Verdict {
    const { rate, burst } = this.#options;
    if (!admitted) this.#options.telemetry.count("rate_limited");
    return {
      admitted,
      remaining: Math.max(0, Math.floor(tokens)),
      fullIn: Math.ceil((burst - tokens) / rate),
      retryAfter: admitted ? 0 : Math.max(1, Math.ceil((1 - tokens) / rate)),
    };
  }

  /** The state of a bucket now. */
  status(name: string): RateStatus {
    const { rate, burst } = this.#options;
    const tokens = this.#bucket(name)?.tokens ?? 0;
    const remaining = Math.max(0, Math.floor(tokens));
    return { ...this.policy, remaining, fullIn: Math.ceil((burst - tokens) / rate) };
  }

  /** Charges an admitted request for `bytes` about to be sent; negative bytes are a refund. */
  charge(name: string, bytes: number): void {
    const bucket = this.#bucket(name);
    if (bucket === undefined) return;
    bucket.tokens = Math.min(this.#options.burst, bucket.tokens - bytes / BYTES_PER_TOKEN);
  }

  /** Whole seconds until a request would be admitted; 0 where it is admitted now. */
  retryAfter(name: string): number {
    const bucket = this.#buckets.get(name);
    if (bucket === undefined) return this.#makeRoom() ? 0 : Math.ceil(1 / this.#options.rate);
    this.#refill(bucket);
    return Math.max(0, Math.ceil((1 - bucket.tokens) / this.#options.rate));
  }

  /** A bucket, refilled up to now; `undefined` where there is no room for another. */
  #bucket(name: string): Bucket | undefined {
    const bucket = this.#buckets.get(name);
    if (bucket !== undefined) {
      this.#refill(bucket);
      return bucket;
    }
    if (!this.#makeRoom()) return undefined;
    const full = { tokens: this.#options.burst, at: this.#options.now() };
    this.#buckets.set(name, full);
    return full;
  }

  /** Only full buckets are evicted: evicting any other would give away its missing tokens. */
  #makeRoom(): boolean {
    for (let tries = 0; tries < EVICTION_TRIES; tries++) {
      if (this.#buckets.size < this.#maxBuckets) return true;
      const [oldest] = this.#buckets.rkeys();
      const bucket = oldest === undefined ? undefined : this.#buckets.get(oldest);
      if (oldest === undefined || bucket === undefined) return true;
      this.#refill(bucket);
      if (bucket.tokens >= this.#options.burst) this.#buckets.delete(oldest);
    }
    return this.#buckets.size < this.#maxBuckets;
  }

  #refill(bucket: Bucket): void {
    const now = this.#options.now();
    const gained = ((now - bucket.at) / 1000) * this.#options.rate;
    bucket.tokens = Math.min(this.#options.burst, bucket.tokens + gained);
    bucket.at = now;
  }
}
