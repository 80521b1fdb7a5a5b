import { LRUCache } from "lru-cache";
import type { Listing } from "./listing.ts";
import type { Fingerprint } from "./names.ts";

/** What an entry takes besides its runs, counted in runs. */
export const RUNS_PER_USER = 4;

interface Held<Cached> {
  /** How many callers hold it. */
  holders: number;
  cached: Cached | undefined;
}

/** Listings in memory: the least used are evicted, except those that are held. */
export class CachedListings<Cached extends { readonly listing: Listing }> {
  readonly #entries: LRUCache<Fingerprint, Cached>;
  readonly #held = new Map<Fingerprint, Held<Cached>>();

  /** @param maxRuns how many runs are cached, over all users; each user counts `RUNS_PER_USER` more */
  constructor(maxRuns: number) {
    this.#entries = new LRUCache<Fingerprint, Cached>({
      maxSize: maxRuns,
      sizeCalculation: ({ listing }) => RUNS_PER_USER + listing.runs,
    });
  }

  /** The size of what can be evicted, in runs. */
  get runs(): number {
    return this.#entries.calculatedSize;
  }

  get(user: Fingerprint): Cached | undefined {
    return this.#entries.get(user) ?? this.#held.get(user)?.cached;
  }

  /** Caches a listing, or drops it. To be called again when it has grown: it is measured here alone. */
  set(user: Fingerprint, cached: Cached | undefined): void {
    this.#entries.set(user, cached);
    const held = this.#held.get(user);
    if (held !== undefined) held.cached = cached;
  }

  /** Keeps the user's listing from being evicted while some work lasts, however that ends. */
  async holding<Result>(user: Fingerprint, work: () => Promise<Result>): Promise<Result> {
    const held = this.#held.get(user) ?? { holders: 0, cached: this.#entries.get(user) };
    held.holders++;
    this.#held.set(user, held);
    try {
      return await work();
    } finally {
      held.holders--;
      if (held.holders === 0) this.#held.delete(user);
    }
  }
}
