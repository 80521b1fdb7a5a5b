import type { Version } from "../cluster/cluster.ts";
import { lruOf } from "../storage/lru.ts";
import { CachedListings } from "./cached-listings.ts";
import { refreshClient } from "./client-refresh.ts";
import { DamagedObjects } from "./damaged-objects.ts";
import { KeyedQueue } from "./keyed-queue.ts";
import type { Listing } from "./listing.ts";
import { KEPT_UP_MS, ListingAges } from "./listing-age.ts";
import type { ListingCacheOptions } from "./listing-cache-options.ts";
import { ListingListeners } from "./listing-listeners.ts";
import {
  type Asked,
  type Listed,
  ListingLoad,
  type LoadSource,
  listUsable,
  type NumberedLoad,
  showsAsked,
} from "./listing-load.ts";
import type { AnnouncedChange } from "./listing-versions.ts";
import {
  clientPrefix,
  type Fingerprint,
  formatName,
  type ObjectName,
  userPrefix,
} from "./names.ts";
import type { ObjectDamaged } from "./object-cache.ts";
import type { Run } from "./sequence.ts";
import { SupersededObjects } from "./superseded-objects.ts";
import type { Telemetry } from "./telemetry.ts";

/** How many users are remembered whose next listing may show what a failed put has stored. */
const REMEMBERED = 10_000;

interface CachedListing extends NumberedLoad {
  readonly listing: Listing;
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
  readonly #loads = new Map<Fingerprint, ListingLoad>();
  readonly #invalidated = lruOf<Fingerprint, true>(REMEMBERED);
  readonly #listeners: ListingListeners;
  readonly #source: LoadSource;
  /** How many loads have begun. */
  #begun = 0;

  constructor(options: ListingCacheOptions) {
    this.#options = options;
    this.#telemetry = options.telemetry;
    this.#ages = new ListingAges(options);
    this.#damaged = options.damaged ?? new DamagedObjects(options);
    this.#cached = new CachedListings(options.maxRuns);
    this.#listeners = options.listeners ?? new ListingListeners();
    this.#source = {
      ask: options.version,
      list: (user) => this.#list(userPrefix(user)),
      complete: (user, listed) => this.#superseded.without(user, listed),
      ended: (load, listing) => this.#loaded(load, listing),
      settled: ({ user }) => this.#loads.delete(user),
    };
    this.#telemetry.observe("listing_cache_runs", () => this.#cached.runs);
  }

  /**
   * The user's listing as it was no longer than `LISTING_TTL` ago; `listing-age.ts` says when. Where the
   * cluster was asked, it shows all that was acknowledged before that.
   */
  get(user: Fingerprint, asked?: Asked): Promise<Listing> {
    if (this.#options.ttl === 0) return this.fresh(user);
    const listing = this.recent(user, asked);
    if (listing !== undefined) return Promise.resolve(listing);
    return this.#get(
      user,
      (load) => this.#stateOf(load, asked) !== "old",
      // A change may have come that could not be applied. By age, what was recent when it was joined will do.
      (load) => asked === undefined || showsAsked(asked, load),
    );
  }

  /** As `get`, at once; `undefined` where the cached listing is too old, or none is. */
  recent(user: Fingerprint, asked?: Asked): Listing | undefined {
    const entry = this.#cached.get(user);
    if (entry === undefined || this.#options.ttl === 0) return undefined;
    const state = this.#stateOf(entry, asked);
    if (state === "old") return undefined;
    if (state === "due" && !this.#loads.has(user)) {
      // In the background: a request whose listing cannot be read by then says why.
      this.#load(user).listing.catch(() => undefined);
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
      const listing = await refreshClient(client, {
        current: () => this.current(user),
        list: async () => {
          const { listing: listed } = await this.#list(clientPrefix(user, client));
          return this.#superseded.without(user, listed, client);
        },
        replace: (refreshed) => {
          const entry = this.#cached.get(user);
          if (entry === undefined) return;
          // A load that is under way may have come too early for what is handed out here.
          const load = this.#loads.get(user);
          if (load !== undefined) load.cacheable = false;
          this.#cached.set(user, { ...entry, listing: refreshed });
          if (refreshed.showsMoreThan(entry.listing)) this.#listeners.news(user);
        },
      });
      return listing ?? this.fresh(user);
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
    this.#loads.get(name.user)?.change((listing) => listing.appended(name, size));
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
    this.#listeners.news(name.user);
  }

  /**
   * Records a marker that is now in storage.
   *
   * @param mark changes a listing, and returns it
   */
  marked(user: Fingerprint, mark: (listing: Listing) => Listing): void {
    this.#change(user, mark);
    this.#listeners.news(user);
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
    this.#change(user, (listing) => listing.compacted(client, superseded, added));
  }

  /** The version that the user's listing shows, and how many loads have begun: what `Asked` is made of. */
  shown(user: Fingerprint): { readonly version: Version | undefined; readonly order: number } {
    return { version: this.#cached.get(user)?.versions.last, order: this.#begun };
  }

  /** Takes a change that was announced: by another server, or by this one, which has it already. */
  announced(user: Fingerprint, change: AnnouncedChange): void {
    this.#loads.get(user)?.change(change);
    const entry = this.#cached.get(user);
    const runs = entry?.listing.runs;
    const listing = entry?.versions.apply(entry.listing, change);
    if (entry === undefined || listing === undefined) {
      // Those who wait have to look.
      this.#listeners.news(user);
    } else if (listing !== entry.listing || listing.runs !== runs) {
      this.#cached.set(user, { ...entry, listing });
      this.#telemetry.count("listing_cache", "announced");
      if (listing === entry.listing || listing.showsMoreThan(entry.listing))
        this.#listeners.news(user);
    }
  }

  #change(user: Fingerprint, change: (listing: Listing) => Listing): void {
    this.#loads.get(user)?.change(change);
    const entry = this.#cached.get(user);
    // Set again, because the cache measures an entry only when it is set.
    if (entry !== undefined) this.#cached.set(user, { ...entry, listing: change(entry.listing) });
  }

  /** Whether the listing of a load may be used, as `ListingAges.stateOf` says it. */
  #stateOf(load: NumberedLoad, asked: Asked | undefined): "recent" | "due" | "old" {
    if (asked !== undefined && !showsAsked(asked, load)) return "old";
    const isKeptUp = asked?.isMissingSome === false && !load.lacks;
    return this.#ages.stateOf(load, isKeptUp ? KEPT_UP_MS : undefined);
  }

  #list(prefix: string): Promise<Listed> {
    return listUsable(this.#options.driver, this.#damaged, prefix);
  }

  /**
   * @param isEnough whether the listing of a load that was new enough shows all, once there is one
   */
  async #get(
    user: Fingerprint,
    isNewEnough: (load: NumberedLoad) => boolean,
    isEnough: (load: NumberedLoad) => boolean = () => true,
  ): Promise<Listing> {
    for (;;) {
      const entry = this.#cached.get(user);
      if (entry !== undefined && isNewEnough(entry)) {
        this.#telemetry.count("listing_cache", "hit");
        return entry.listing;
      }
      const running = this.#loads.get(user);
      if (running !== undefined && !(running.cacheable && isNewEnough(running))) {
        // It may lack what this caller has to be shown, and there is one load per user at a time.
        await Promise.allSettled([running.listing]);
        continue;
      }
      const load = running ?? this.#load(user);
      const listing = await load.listing;
      if (isEnough(load)) return listing;
    }
  }

  #load(user: Fingerprint): ListingLoad {
    const start = { order: ++this.#begun, ...this.#ages.begin() };
    this.#telemetry.count("listing_cache", "load");
    const load = new ListingLoad({ user, ...start, source: this.#source });
    this.#loads.set(user, load);
    return load;
  }

  #loaded(load: ListingLoad, listing: Listing): void {
    const { user, order, versions, lacks } = load;
    // A listing that is older than one that was handed out is never served again.
    const entry = { listing, order, ...this.#ages.end(load), versions, lacks };
    const known = this.current(user);
    this.#cached.set(user, load.cacheable ? entry : undefined);
    this.#listeners.loaded(user, listing);
    const mayShowMore = load.cacheable && this.#invalidated.delete(user);
    // Not where none was known: a listing that is never cached would be news each time.
    if (mayShowMore || (known && listing.showsMoreThan(known))) this.#listeners.news(user);
  }
}
