import type { Driver } from "../storage/driver.ts";
import { lruOf } from "../storage/lru.ts";
import { CachedListings } from "./cached-listings.ts";
import { DamagedObjects } from "./damaged-objects.ts";
import { KeyedQueue } from "./keyed-queue.ts";
import { holesIn, Listing } from "./listing.ts";
import { ListingAges, type ListingAgesOptions, type LoadTimes } from "./listing-age.ts";
import {
  clientPrefix,
  type Fingerprint,
  formatName,
  type ObjectName,
  userPrefix,
} from "./names.ts";
import type { ObjectDamaged } from "./object-cache.ts";
import { isShorter, type Run } from "./sequence.ts";
import { SupersededObjects } from "./superseded-objects.ts";
import type { Telemetry } from "./telemetry.ts";

/** With a `ttl` of 0 a cached listing is never served, with Infinity always. */
export interface ListingCacheOptions extends ListingAgesOptions {
  readonly driver: Driver;
  /** How many runs are cached, over all users; users and clients count as some more (`sizeInRuns`). */
  readonly maxRuns: number;
  /** Objects that count as missing. */
  readonly damaged?: DamagedObjects;
  readonly telemetry: Telemetry;
}

/** Called with every listing that was loaded from storage. */
export type LoadListener = (user: Fingerprint, listing: Listing) => void;

/** Called when the listing of a user shows more than before, or may, at the moment at which `get` does. */
export type NewsListener = (user: Fingerprint) => void;

/** How many users are remembered whose next listing may show what a failed put has stored. */
const REMEMBERED = 10_000;

/** How often an append or a read lists storage again because its listing turned out to be old. */
export const MAX_LISTS = 5;

interface NumberedLoad extends LoadTimes {
  /** Its number among all loads. */
  readonly order: number;
}

interface CachedListing extends NumberedLoad {
  readonly listing: Listing;
}

interface Load extends NumberedLoad {
  readonly listing: Promise<Listing>;
  /**
   * What this process has changed since the load began, in order. Storage may have listed too early
   * for it, or after it: each makes the same listing of both.
   */
  readonly changes: ((listing: Listing) => Listing)[];
  /** False once something happened that the load may have missed. */
  cacheable: boolean;
}

/** The listing cache: what storage has listed, and what this process has stored since. */
export class ListingCache {
  readonly #options: ListingCacheOptions;
  readonly #telemetry: Telemetry;
  readonly #ages: ListingAges;
  readonly #damaged: DamagedObjects;
  readonly #superseded = new SupersededObjects();
  readonly #cached: CachedListings<CachedListing>;
  readonly #queue = new KeyedQueue();
  readonly #loads = new Map<Fingerprint, Load>();
  readonly #invalidated = lruOf<Fingerprint, true>(REMEMBERED);
  readonly #listeners: LoadListener[] = [];
  readonly #newsListeners: NewsListener[] = [];
  /** How many loads have begun. */
  #begun = 0;

  constructor(options: ListingCacheOptions) {
    this.#options = options;
    this.#telemetry = options.telemetry;
    this.#ages = new ListingAges(options);
    this.#damaged =
      options.damaged ?? new DamagedObjects({ now: options.now, telemetry: options.telemetry });
    this.#cached = new CachedListings(options.maxRuns);
    this.#telemetry.observe("listing_cache_runs", () => this.#cached.runs);
  }

  /** Adds a listener. Listeners are made after the cache, because they use it. */
  onLoad(listener: LoadListener): void {
    this.#listeners.push(listener);
  }

  /** Adds a listener for what this process stores, and for what a list of another process's shows. */
  onNews(listener: NewsListener): void {
    this.#newsListeners.push(listener);
  }

  /** The user's listing as it was no longer than `LISTING_TTL` ago; `listing-age.ts` says when. */
  get(user: Fingerprint): Promise<Listing> {
    if (this.#options.ttl === 0) return this.fresh(user);
    const listing = this.recent(user);
    if (listing !== undefined) return Promise.resolve(listing);
    return this.#get(user, (load) => this.#ages.isRecent(load));
  }

  /** As `get`, at once; `undefined` where the cached listing is too old, or none is. */
  recent(user: Fingerprint): Listing | undefined {
    const entry = this.#cached.get(user);
    const state = entry === undefined ? "old" : this.#ages.stateOf(entry);
    if (entry === undefined || state === "old") return undefined;
    if (state === "due" && !this.#loads.has(user)) {
      // In the background: a request whose listing cannot be read by then says why.
      this.#load(user).catch(() => undefined);
    }
    this.#telemetry.count("listing_cache", "hit");
    return entry.listing;
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
   * The user's listing, with the objects of one client as storage has them after this call: what a
   * refusal of an append needs. One list of a user at a time. Reads all where nothing is cached.
   */
  freshOf(user: Fingerprint, client: string): Promise<Listing> {
    return this.#queue.run(user, async () => {
      let holes: string | undefined;
      for (let lists = 0; lists < MAX_LISTS; lists++) {
        const before = this.current(user);
        if (before === undefined) break;
        const found = await this.#list(clientPrefix(user, client));
        const listed = this.#superseded.without(user, found, client);
        const entry = this.#cached.get(user);
        // Where the log was listed or compacted meanwhile, this list may have come too early.
        if (entry === undefined || entry.listing !== before) continue;
        const seen = holes;
        holes = holesIn(listed);
        if (holes !== undefined && holes !== seen) continue;
        // Packing takes nothing away: the user was erased, or something is lost.
        if (isShorter(listed.clients.get(client), before.clients.get(client))) break;
        const listing = entry.listing.updated(client, listed);
        if (listing === entry.listing) return listing;
        // A load that is under way may have come too early for what is handed out here.
        const load = this.#loads.get(user);
        if (load !== undefined) load.cacheable = false;
        this.#cached.set(user, { ...entry, listing });
        if (listing.showsMoreThan(before)) this.#tellNews(user);
        return listing;
      }
      return this.fresh(user);
    });
  }

  /**
   * The user's listing as this process knows it at this very moment; `undefined` where storage has
   * to be asked. What was decided by another listing, before an await, has to be decided again.
   */
  current(user: Fingerprint): Listing | undefined {
    return this.#cached.get(user)?.listing;
  }

  /** Keeps the user's listing from being evicted while some work lasts, however that ends. */
  holding<Result>(user: Fingerprint, work: () => Promise<Result>): Promise<Result> {
    return this.#cached.holding(user, work);
  }

  /**
   * Drops the user's listing. To be called when a put has failed, which may have stored its object
   * nevertheless. A running load may have missed that object, so it is not cached.
   */
  invalidate(user: Fingerprint): void {
    this.#cached.set(user, undefined);
    this.#invalidated.set(user, true);
    const load = this.#loads.get(user);
    if (load !== undefined) load.cacheable = false;
  }

  /** Records that an object of a user cannot be used: from now on listings lack it. */
  damaged(user: Fingerprint, error: ObjectDamaged): void {
    this.#damaged.add(user, error);
    this.invalidate(user);
  }

  /** Records an append of this process that is now in storage. */
  appended(name: ObjectName, size: number): void {
    if (!this.#damaged.isEmpty) this.#damaged.replaced(formatName(name));
    this.#loads.get(name.user)?.changes.push((listing) => listing.appended(name, size));
    const entry = this.#cached.get(name.user);
    if (entry !== undefined && !entry.listing.has(name)) {
      if (entry.listing.extend(name, size)) {
        // Set again, because the cache measures an entry only when it is set.
        this.#cached.set(name.user, { ...entry });
      } else {
        this.#cached.set(name.user, undefined);
        this.#telemetry.count("listing_cache", "drop");
      }
    }
    this.#tellNews(name.user);
  }

  /** Records that the user's `signed` marker is now in storage. */
  markSigned(user: Fingerprint): void {
    this.#loads.get(user)?.changes.push((listing) => listing.markedSigned());
    this.current(user)?.markedSigned();
    this.#tellNews(user);
  }

  /** What was superseded and is not deleted yet: listings lack it. */
  get superseded(): SupersededObjects {
    return this.#superseded;
  }

  /**
   * Records a compaction: runs of a client that are superseded, and the segments that supersede
   * them.
   */
  applyCompaction(
    user: Fingerprint,
    client: string,
    superseded: readonly Run[],
    added: readonly Run[] = [],
  ): void {
    const change = (listing: Listing) => listing.compacted(client, superseded, added);
    this.#loads.get(user)?.changes.push(change);
    const entry = this.#cached.get(user);
    if (entry === undefined) return;
    const listing = change(entry.listing);
    if (listing !== entry.listing) this.#cached.set(user, { ...entry, listing });
  }

  #tellNews(user: Fingerprint): void {
    for (const listener of this.#newsListeners) listener(user);
  }

  /** A listing of what storage has under a prefix, apart from what is damaged. */
  async #list(prefix: string): Promise<Listing> {
    const objects = await this.#options.driver.list(prefix);
    return Listing.inSlices(await this.#damaged.without(objects));
  }

  async #get(user: Fingerprint, isNewEnough: (load: NumberedLoad) => boolean): Promise<Listing> {
    for (;;) {
      const entry = this.#cached.get(user);
      if (entry !== undefined && isNewEnough(entry)) {
        this.#telemetry.count("listing_cache", "hit");
        return entry.listing;
      }
      const load = this.#loads.get(user);
      if (load === undefined) return this.#load(user);
      if (load.cacheable && isNewEnough(load)) return load.listing;
      // It may lack what this caller has to be shown, and there is one load per user at a time.
      await Promise.allSettled([load.listing]);
    }
  }

  /**
   * Lists until two lists in a row show the same holes, or none. A list is not taken at one instant:
   * during a compaction it may be too early for the segment and too late for the objects that it
   * supersedes. Compaction never touches a client's last object, so this shows as a hole, and never
   * as a log that ends too early.
   */
  #load(user: Fingerprint): Promise<Listing> {
    const start = { order: ++this.#begun, ...this.#ages.begin() };
    this.#telemetry.count("listing_cache", "load");
    const changes: Load["changes"] = [];
    const read = async () => {
      try {
        let holes: string | undefined;
        for (;;) {
          const listed = await this.#list(userPrefix(user));
          // No await from here on: a change that is recorded in between would be lost.
          let listing = this.#superseded.without(user, listed);
          for (const change of changes) listing = change(listing);
          const before = holes;
          holes = holesIn(listing);
          if (holes !== undefined && holes !== before) continue;
          // A listing that is older than one that was handed out is never served again.
          const entry = { listing, ...start, ...this.#ages.end(start) };
          const known = this.current(user);
          this.#cached.set(user, load.cacheable ? entry : undefined);
          for (const listener of this.#listeners) listener(user, listing);
          const mayShowMore = load.cacheable && this.#invalidated.delete(user);
          // Not where none was known: a listing that is never cached would be news each time.
          if (mayShowMore || (known !== undefined && listing.showsMoreThan(known))) {
            this.#tellNews(user);
          }
          return listing;
        }
      } finally {
        this.#loads.delete(user);
      }
    };
    // The read begins later, so that the load is registered before it can end.
    const load: Load = {
      listing: Promise.resolve().then(read),
      changes,
      cacheable: true,
      ...start,
    };
    this.#loads.set(user, load);
    return load.listing;
  }
}
