import type { Announcement, Cluster, Version } from "../cluster/cluster.ts";
import { StorageUnavailable } from "../storage/driver.ts";
import { changedListing, packedChange, storedChange, UNKNOWN_CHANGE } from "./change.ts";
import type { Listing } from "./listing.ts";
import type { ListingCache } from "./listing-cache.ts";
import type { Asked } from "./listing-load.ts";
import { type Fingerprint, isFingerprint } from "./names.ts";
import type { Run, Span } from "./sequence.ts";
import type { Telemetry } from "./telemetry.ts";
import { UnsettledLogs } from "./unsettled-logs.ts";

export interface AnnouncerOptions {
  readonly cluster: Cluster;
  readonly listings: ListingCache;
  /** `LISTING_TTL` in milliseconds. */
  readonly ttl: number;
  readonly telemetry: Telemetry;
}

/** How often a log is announced that may have changed, where `LISTING_TTL` is longer or shorter. */
const SHORTEST_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 30_000;

/** Announces to all servers on this storage what this one has changed, and applies what they announce. */
export class Announcer {
  readonly #cluster: Cluster;
  readonly #listings: ListingCache;
  readonly #telemetry: Telemetry;

  readonly #unsettled: UnsettledLogs;
  /** What this server is announcing: its listings have that already. */
  readonly #announcing = new Set<string>();

  constructor({ cluster, listings, ttl, telemetry }: AnnouncerOptions) {
    this.#cluster = cluster;
    this.#listings = listings;
    this.#telemetry = telemetry;
    this.#unsettled = new UnsettledLogs({
      every: Math.min(LONGEST_PAUSE_MS, Math.max(SHORTEST_PAUSE_MS, ttl)),
      announce: (user) => this.changed(user),
    });
    cluster.onAnnouncement((announcement) => this.#apply(announcement));
  }

  /**
   * Asks what a listing has to show that is used from now on; resolves to `undefined` where listings go by
   * their age alone.
   */
  async ask(user: Fingerprint): Promise<Asked | undefined> {
    const { order } = this.#listings.shown(user);
    const version = await this.#cluster.version(user);
    return version === undefined ? undefined : this.#asked(version, order);
  }

  /** As `ask`, at once, of a log whose announcements have all come here; `undefined` of any other. */
  known(user: Fingerprint): Asked | undefined {
    const { version, order } = this.#listings.shown(user);
    if (version === undefined || !this.#cluster.follows(version)) return undefined;
    return this.#asked(version, order);
  }

  /**
   * Announces operations of a client that are in storage and in the listing, whichever server has stored
   * them. To be awaited before they are acknowledged.
   *
   * @param claim ends at the same moment
   */
  stored(user: Fingerprint, client: string, span: Span, claim?: string): Promise<void> {
    const change = storedChange(this.#listings.current(user), client, span);
    return this.#announce(user, change, claim);
  }

  /**
   * Announces a compaction that the listing shows.
   *
   * @param holders what holds the operations of the superseded runs
   */
  packed(
    user: Fingerprint,
    client: string,
    superseded: readonly Run[],
    holders: readonly Run[],
  ): Promise<void> {
    return this.#announce(user, packedChange(client, superseded, holders));
  }

  /** Whether nothing is left that a failed put may have stored, and that is still to be announced. */
  get isSettled(): boolean {
    return this.#unsettled.isEmpty;
  }

  /** Throws `StorageUnavailable` where the other servers may no longer look for what this one stores. */
  beforeStoring(): void {
    if (!this.#cluster.isForgotten) return;
    throw new StorageUnavailable("the other servers have not heard from this one for half a day", {
      reason: "this server has lost the others",
    });
  }

  /** Announces that the log has to be listed. To be awaited before what has changed is acknowledged. */
  changed(user: Fingerprint): Promise<void> {
    return this.#announce(user, UNKNOWN_CHANGE);
  }

  /**
   * As `changed`, where a put has failed that may have stored its object nevertheless, or does so later.
   *
   * @param claim ends at the same moment
   */
  unsettled(user: Fingerprint, claim?: string): Promise<void> {
    this.#unsettled.add(user);
    return this.#announce(user, UNKNOWN_CHANGE, claim);
  }

  #asked(version: Version, order: number): Asked {
    return { version, order, isMissingSome: !this.#cluster.isReliable };
  }

  async #announce(user: Fingerprint, change: string, claim?: string): Promise<void> {
    const key = keyOf(user, change);
    if (change !== UNKNOWN_CHANGE) this.#announcing.add(key);
    const step = await this.#cluster.announce(user, change, claim);
    this.#announcing.delete(key);
    this.#telemetry.count("announcements", step === undefined ? "missed" : "sent");
    if (step !== undefined) this.#listings.announced(user, { ...step, apply: asItIs });
  }

  #apply({ log, change, before, after }: Announcement): void {
    if (!isFingerprint(log)) return;
    const apply = this.#announcing.has(keyOf(log, change))
      ? asItIs
      : (listing: Listing) => changedListing(listing, log, change);
    this.#listings.announced(log, { before, after, apply });
  }
}

function asItIs(listing: Listing): Listing {
  return listing;
}

function keyOf(user: Fingerprint, change: string): string {
  return `${user} ${change}`;
}
