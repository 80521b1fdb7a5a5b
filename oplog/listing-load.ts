import type { Version } from "../cluster/cluster.ts";
import type { Driver } from "../storage/driver.ts";
import type { DamagedObjects } from "./damaged-objects.ts";
import { Listing } from "./listing.ts";
import type { LoadTimes } from "./listing-age.ts";
import { type AnnouncedChange, Versions } from "./listing-versions.ts";
import type { Fingerprint } from "./names.ts";

/** A load, and its number among all loads. */
export interface NumberedLoad extends LoadTimes {
  readonly order: number;
  /** The versions of the log that the listing has had. */
  readonly versions: Versions;
  /** Whether something damaged was left out: it may be restored, which nobody announces. */
  readonly lacks: boolean;
}

/** What the cluster has said of a log when a request came: a listing that goes by it misses nothing. */
export interface Asked {
  readonly version: Version;
  /** How many loads had begun. */
  readonly order: number;
  /** Whether a server is missing, so that the listing must not be older than `LISTING_TTL` either. */
  readonly isMissingSome: boolean;
}

/** Whether a listing shows what the cluster has said of the log. */
export function showsAsked(asked: Asked, { order, versions }: NumberedLoad): boolean {
  return order > asked.order || versions.includes(asked.version);
}

/** What a list shows, and whether something damaged was left out. */
export interface Listed {
  readonly listing: Listing;
  readonly lacks: boolean;
}

/** Lists what storage has under a prefix, apart from what is damaged. */
export async function listUsable(
  driver: Driver,
  damaged: DamagedObjects,
  prefix: string,
): Promise<Listed> {
  const objects = await driver.list(prefix);
  const usable = await damaged.without(objects);
  return { listing: await Listing.inSlices(usable), lacks: usable.length < objects.length };
}

/** The holes in a listing as text, to compare; `undefined` where there are none. */
export function holesIn({ clients }: Listing): string | undefined {
  const all = [...clients].map(([client, { holes }]) => ({ client, holes }));
  const some = all.filter(({ holes }) => holes.length > 0);
  return some.length > 0 ? JSON.stringify(some) : undefined;
}

/**
 * Where loads get listings from, and who takes these. One object for all loads: where tsx runs the source, it
 * sets the name of each closure that is made, which takes as long as parsing the names of a short log.
 */
export interface LoadSource {
  /** The version of a log before it is listed; absent where there is no cluster. */
  readonly ask: ((user: Fingerprint) => Promise<Version | undefined>) | undefined;
  list(user: Fingerprint): Promise<Listed>;
  /** Called with what was listed, at once, before anything else is changed. */
  complete(user: Fingerprint, listed: Listing): Listing;
  /** Called with the listing of a load, from one moment to the next. */
  ended(load: ListingLoad, listing: Listing): void;
  /** Called last, however it ended. */
  settled(load: ListingLoad): void;
}

export interface LoadOptions extends LoadTimes {
  readonly user: Fingerprint;
  readonly order: number;
  readonly source: LoadSource;
}

/** A listing that is being read from storage. */
export class ListingLoad implements NumberedLoad {
  readonly user: Fingerprint;
  readonly order: number;
  readonly at: number;
  readonly time: number;
  readonly took: number;
  readonly listing: Promise<Listing>;
  /** False once something happened that it may have missed. */
  cacheable = true;
  lacks = false;
  readonly #source: LoadSource;
  /**
   * What has changed since the load began, in order: by this process, or announced by another. Storage
   * may have listed too early for it, or after it: each makes the same listing of both.
   */
  readonly #changes: (((listing: Listing) => Listing) | AnnouncedChange)[] = [];
  #asked: Version | undefined;
  /** Those of the listing, once there is one. */
  #versions: Versions | undefined;

  constructor({ user, order, at, time, took, source }: LoadOptions) {
    this.#source = source;
    this.user = user;
    this.order = order;
    this.at = at;
    this.time = time;
    this.took = took;
    // The read begins later, so that the load is registered before it can end.
    this.listing = Promise.resolve().then(() => this.#read());
  }

  /** The versions of the listing; those that it may have, if all changes can be applied, until there is one. */
  get versions(): Versions {
    if (this.#versions !== undefined) return this.#versions;
    const versions = new Versions(this.#asked);
    for (const change of this.#changes) {
      if ("after" in change && versions.precedes(change)) versions.step(change);
    }
    return versions;
  }

  /** Records a change of this process, or one that another has announced. */
  change(change: ((listing: Listing) => Listing) | AnnouncedChange): void {
    this.#changes.push(change);
  }

  /**
   * Lists until two lists in a row show the same holes, or none. A list is not taken at one instant:
   * during a compaction it may be too early for the segment and too late for the objects that it
   * supersedes. Compaction never touches a client's last object, so this shows as a hole, and never
   * as a log that ends too early.
   */
  async #read(): Promise<Listing> {
    const { user } = this;
    const source = this.#source;
    try {
      if (source.ask !== undefined) this.#asked = await source.ask(user);
      let holes: string | undefined;
      for (;;) {
        const listed = await source.list(user);
        this.lacks = listed.lacks;
        // No await from here on: a change that is recorded in between would be lost.
        const { listing, versions } = this.#changed(source.complete(user, listed.listing));
        const before = holes;
        holes = holesIn(listing);
        if (holes !== undefined && holes !== before) continue;
        this.#versions = versions;
        source.ended(this, listing);
        return listing;
      }
    } finally {
      source.settled(this);
    }
  }

  #changed(listed: Listing): { readonly listing: Listing; readonly versions: Versions } {
    let listing = listed;
    const versions = new Versions(this.#asked);
    for (const change of this.#changes) {
      if (!("after" in change)) listing = change(listing);
      // What was announced before the version was asked for is listed.
      else if (versions.precedes(change)) listing = versions.apply(listing, change) ?? listing;
    }
    return { listing, versions };
  }
}
