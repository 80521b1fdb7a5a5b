import { LRUCache } from "lru-cache";
import type { Driver, StoredObject } from "../storage/driver.ts";
import { Listing } from "./listing.ts";
import {
  type Fingerprint,
  formatMarker,
  formatName,
  type ObjectName,
  userPrefix,
} from "./names.ts";
import type { Run } from "./sequence.ts";
import { NO_TELEMETRY, type Telemetry } from "./telemetry.ts";

export interface ListingCacheOptions {
  readonly driver: Driver;
  /** How long a cached listing may be served, in milliseconds; 0 for never, Infinity for always. */
  readonly ttl: number;
  /** How many runs are cached, over all users. */
  readonly maxRuns: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly telemetry?: Telemetry;
}

/** Called with every listing that was loaded from storage. */
export type LoadListener = (user: Fingerprint, listing: Listing) => void;

/** What an entry takes beside its runs, counted in runs. */
export const RUNS_PER_USER = 4;

/** When a load began: its number among all loads, and the time. A listing is as old as that. */
interface Begun {
  readonly order: number;
  readonly at: number;
}

interface Entry extends Begun {
  readonly listing: Listing;
}

interface Load extends Begun {
  readonly listing: Promise<Listing>;
  /** Own appends that landed since the load began; storage may have listed too early for them. */
  readonly appended: StoredObject[];
  /** False once something happened that it may have missed. */
  kept: boolean;
}

/** The listing cache: a copy of the truth, never older than it may be. */
export class ListingCache {
  readonly #options: ListingCacheOptions;
  readonly #telemetry: Telemetry;
  readonly #entries: LRUCache<Fingerprint, Entry>;
  readonly #loads = new Map<Fingerprint, Load>();
  readonly #listeners: LoadListener[] = [];
  /** How many loads have begun. */
  #begun = 0;

  constructor(options: ListingCacheOptions) {
    this.#options = options;
    this.#telemetry = options.telemetry ?? NO_TELEMETRY;
    this.#telemetry.observe("listing_cache_runs", () => this.#entries.calculatedSize);
    this.#entries = new LRUCache({
      maxSize: options.maxRuns,
      sizeCalculation: ({ listing }) => RUNS_PER_USER + listing.runs,
    });
  }

  /** Adds a listener. What listens needs the cache itself, so it comes after the cache is made. */
  onLoad(listener: LoadListener): void {
    this.#listeners.push(listener);
  }

  /** The user's listing as it was no longer than `LISTING_TTL` ago. */
  get(user: Fingerprint): Promise<Listing> {
    const { ttl, now } = this.#options;
    return ttl === 0 ? this.fresh(user) : this.#get(user, ({ at }) => now() - at < ttl);
  }

  /** The user's listing as it is cached, however old; read from storage only where none is. */
  getStale(user: Fingerprint): Promise<Listing> {
    return this.#get(user, () => true);
  }

  /** The user's listing, read from storage after this call. */
  fresh(user: Fingerprint): Promise<Listing> {
    const before = this.#begun;
    return this.#get(user, ({ order }) => order > before);
  }

  /**
   * Forgets what is known of a user: a put has failed, and may have stored its object all the same.
   * A load that is running may have missed it, and is not kept.
   */
  invalidate(user: Fingerprint): void {
    this.#entries.delete(user);
    const load = this.#loads.get(user);
    if (load !== undefined) load.kept = false;
  }

  /** Takes note of an own append that is now in storage. */
  appended(name: ObjectName, size: number): void {
    this.#loads.get(name.user)?.appended.push({ name: formatName(name), size });
    const entry = this.#entries.get(name.user);
    if (entry === undefined || entry.listing.has(name)) return;
    if (entry.listing.extend(name, size)) {
      // A new entry, because the cache measures only those.
      this.#entries.set(name.user, { ...entry });
    } else {
      this.#entries.delete(name.user);
      this.#telemetry.count("listing_cache", "drop");
    }
  }

  /** Takes note that the user's `signed` marker is now in storage. */
  markSigned(user: Fingerprint): void {
    this.#loads.get(user)?.appended.push({ name: formatMarker({ kind: "signed", user }), size: 0 });
    const entry = this.#entries.get(user);
    if (entry !== undefined) entry.listing.signed = true;
  }

  /**
   * Takes note of a compaction: runs of a client that were packed, and what they were packed into.
   * A load that is running may have listed too early for it, and is not kept.
   */
  applyCompaction(
    user: Fingerprint,
    client: string,
    gone: readonly Run[],
    added: readonly Run[] = [],
  ): void {
    const load = this.#loads.get(user);
    if (load !== undefined) load.kept = false;
    const entry = this.#entries.get(user);
    if (entry === undefined) return;
    const listing = entry.listing.repacked(client, gone, added);
    if (listing !== entry.listing) this.#entries.set(user, { ...entry, listing });
  }

  async #get(user: Fingerprint, isNewEnough: (load: Begun) => boolean): Promise<Listing> {
    for (;;) {
      const entry = this.#entries.get(user);
      if (entry !== undefined && isNewEnough(entry)) {
        this.#telemetry.count("listing_cache", "hit");
        return entry.listing;
      }
      const load = this.#loads.get(user);
      if (load === undefined) return this.#load(user);
      if (isNewEnough(load)) return load.listing;
      // It began too early to count for this caller, but there is one load per user at a time.
      await Promise.allSettled([load.listing]);
    }
  }

  /**
   * Lists until two lists agree on what is missing. A list is not taken at one instant: while
   * operations are packed it may come too early for the segment and too late for what was packed
   * into it. Compaction leaves a client's last object where it is, so in a list that goes through
   * the names in order this shows as a hole.
   */
  #load(user: Fingerprint): Promise<Listing> {
    const begun = { order: ++this.#begun, at: this.#options.now() };
    this.#telemetry.count("listing_cache", "load");
    const appended: StoredObject[] = [];
    const read = async () => {
      try {
        let holes: string | undefined;
        for (;;) {
          const objects = await this.#options.driver.list(userPrefix(user));
          // From here to the end without a pause, or an append that lands meanwhile is lost.
          const listing = new Listing(withAppended(objects, appended));
          const before = holes;
          holes = holesIn(listing);
          if (holes !== undefined && holes !== before) continue;
          if (load.kept) this.#entries.set(user, { listing, ...begun });
          for (const listener of this.#listeners) listener(user, listing);
          return listing;
        }
      } finally {
        this.#loads.delete(user);
      }
    };
    // Begun a moment later, so that the load is on record before it can end.
    const load: Load = { listing: Promise.resolve().then(read), appended, kept: true, ...begun };
    this.#loads.set(user, load);
    return load.listing;
  }
}

/** The holes in a listing, as text; `undefined` where there are none. */
function holesIn({ clients }: Listing): string | undefined {
  const all = [...clients].map(([client, { holes }]) => ({ client, holes }));
  const some = all.filter(({ holes }) => holes.length > 0);
  return some.length > 0 ? JSON.stringify(some) : undefined;
}

/** The objects in byte order of their names, with those that are not among them yet. */
function withAppended(
  objects: StoredObject[],
  appended: readonly StoredObject[],
): Iterable<StoredObject> {
  if (appended.length === 0) return objects;
  const byName = new Map([...objects, ...appended].map((object) => [object.name, object]));
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}
