import { LRUCache } from "lru-cache";
import type { Listing } from "./listing.ts";
import type { Fingerprint } from "./names.ts";

/** What a listing takes besides its runs, and what each client in it takes, counted in runs. */
const RUNS_PER_USER = 4;
export const RUNS_PER_CLIENT = 2;

/** The memory that a listing takes, counted in runs. */
export function sizeInRuns(clients: number, runs: number): number {
  return RUNS_PER_USER + clients * RUNS_PER_CLIENT + runs;
}

interface Held<Cached> {
  /** How many callers hold it. */
  holders: number;
  cached: Cached | undefined;
}

/** Listings in memory: the least used are evicted, except those that are held. */
export class CachedListings<Cached extends { readonly listing: Listing }> {
  readonly #entries: LRUCache<Fingerprint, Cached>;
  readonly #held = new Map<Fingerprint, Held<Cached>>();

  /** @param maxRuns how many runs are cached, over all users, by `sizeInRuns` */
  constructor(maxRuns: number) {
    this.#entries = new LRUCache<Fingerprint, Cached>({
      maxSize: maxRuns,
      sizeCalculation: ({ listing }) => sizeInRuns(listing.clients.size, listing.runs),
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
