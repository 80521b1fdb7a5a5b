/**
 * What several servers on one storage tell each other at once: that a log has changed, and how much
 * of a shared limit is used. Storage alone is the truth. What is lost here, or wrong, costs a list of
 * storage, and never hides for longer than `LISTING_TTL` what another server has stored;
 * docs/decisions/cluster.md says why.
 */

/**
 * The version of a log. Two that are equal: nothing was announced in between. One is never made twice,
 * not even where the cluster has lost its data.
 */
export type Version = string;

/** A change of a log, from one version to the next. */
export interface Step {
  readonly before: Version;
  readonly after: Version;
}

/** A change that a server has announced, this one or another. */
export interface Announcement extends Step {
  readonly log: string;
  /** What `announce` was given. */
  readonly change: string;
}

/** A token bucket that all servers share: filled by `rate` tokens a second, up to `burst`. */
export interface SharedBucket {
  readonly name: string;
  readonly rate: number;
  readonly burst: number;
}

/** Tokens to take from several buckets together. */
export interface Taking {
  readonly buckets: readonly SharedBucket[];
  /** Negative to give back. */
  readonly tokens: number;
  /** Whether to take only where each bucket has a whole token left. */
  readonly onlyIfLeft: boolean;
}

/** What became of a `Taking`. */
export interface Taken {
  readonly taken: boolean;
  /** The tokens in each bucket afterwards; below zero where more was taken than there were. */
  readonly tokens: readonly number[];
}

/** How long a claim lasts where nothing ends it. */
export const CLAIM_LASTS_MS = 300_000;

/** What a server is about to add to a log. */
export interface Claim {
  /** Unique among all claims. */
  readonly id: string;
  readonly log: string;
  /** The version of the listing from which `room` was computed. */
  readonly version: Version;
  readonly client: string;
  /** Whether the listing lacks the client. */
  readonly isNewClient: boolean;
  readonly objects: number;
  readonly bytes: number;
  /** What the log has room for by the listing; Infinity for any. */
  readonly room: Room;
}

/** `size` is in runs: an object counts as one, and a new client as `runsPerClient`. */
export interface Room {
  readonly bytes: number;
  readonly clients: number;
  readonly size: number;
  readonly runsPerClient: number;
}

/** What all servers are adding to a log, with the claim itself where it was granted. */
export interface Claimed {
  /** `outdated`: the log has another version by now. Otherwise what there is no room for. */
  readonly outcome: "granted" | "outdated" | "bytes" | "clients" | "size";
  readonly bytes: number;
  readonly clients: number;
  readonly objects: number;
}

/**
 * The servers of one storage. Nothing here rejects, and nothing waits for longer than a fraction of a
 * second: where the cluster cannot be reached, the answer is `undefined`, and the caller goes on alone.
 */
export interface Cluster {
  /** Whether this server takes part. */
  readonly isJoined: boolean;
  /** How many servers are expected to take part, and have not been heard from lately. */
  readonly missing: number;
  /**
   * Whether versions say all: this server takes part, and none is missing. One that is missing may have
   * stored something without announcing it, so listings go by their age as well.
   */
  readonly isReliable: boolean;
  /**
   * True where this server has not taken part for so long that the others may not expect it any more:
   * what it stores they might never look for.
   */
  readonly isForgotten: boolean;
  /** The version of a log now, by what has been announced; `undefined` where this server takes no part. */
  version(log: string): Promise<Version | undefined>;
  /** Whether this server has received every announcement since it learned of a version. */
  follows(version: Version): boolean;
  /**
   * Gives a log a new version, and tells all servers what has changed. To be called once the change is
   * in storage, and before it is acknowledged. Where the cluster cannot be reached, it is made up for
   * later; until then the others go by the age of their listings.
   *
   * @param change passed to all listeners as it is; "" where they have to list the log
   * @param claim a claim that ends at the same moment
   */
  announce(log: string, change: string, claim?: string): Promise<Step | undefined>;
  /** Adds a listener for the announcements of all servers, those of this one included, in order. */
  onAnnouncement(listener: (announcement: Announcement) => void): void;
  /** Takes tokens. */
  take(taking: Taking): Promise<Taken | undefined>;
  /** Claims room for what is about to be stored, until it is announced or released. */
  claim(claim: Claim): Promise<Claimed | undefined>;
  /** Ends a claim of which nothing was stored. */
  release(log: string, claim: string): void;
  /**
   * Ends its part in the cluster.
   *
   * @param hasStopped whether nothing is under way any more, as by default: then the others need not expect
   *   this server
   */
  close(hasStopped?: boolean): Promise<void>;
}
