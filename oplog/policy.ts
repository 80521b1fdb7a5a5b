/**
 * The ports by which the service decides who may use a log and how much it may hold; `sync/`
 * implements them. The log calls them with the very listing that a request uses: a rule that
 * looked at another listing could accept what this one forbids.
 */
import type { Footprint, Listing } from "./listing.ts";
import type { Asked } from "./listing-load.ts";
import type { Fingerprint } from "./names.ts";

/**
 * Decides whether a request may use a listing; throws, or rejects, to refuse it. Called with every
 * listing that an append or a read uses, so more than once where a log is listed again.
 */
export type AccessCheck = (listing: Listing) => Promise<void> | undefined;

/** What an append decides by, besides the listing. */
export interface AppendPolicy {
  readonly check: AccessCheck;
  /** What the cluster said of the log when the request came; absent where listings go by their age. */
  readonly asked?: Asked | undefined;
  /** Called with the number of objects that storage listed again for this append. */
  readonly listed?: (objects: number) => void;
  /**
   * Reserves room for objects that are about to be stored, or returns the error to refuse them
   * with. A refusal by a cached listing is not final: `reserve` is called again with a fresh one. It
   * is not called for a retry whose operations are all stored.
   */
  reserve(addition: Addition, listing: Listing): Reservation | Error;
  /**
   * Claims room beside the other servers that append to the log: called before `reserve`. `undefined`
   * where nothing has to be claimed. The promise resolves to an error as `reserve` returns it, and to
   * "outdated" where the log has changed, and the claim has to be made by a listing that shows it.
   */
  claim?(
    addition: Addition,
    listing: Listing,
  ): Promise<RoomClaim | Error | "outdated" | undefined> | undefined;
}

/** Room in a log that no other server takes. */
export interface RoomClaim {
  readonly id: string;
  /** An object of this many bytes is in storage, and in the listing. */
  stored(bytes: number): void;
  /** To be called right before what was stored is announced, with the claim. */
  announcing(): void;
  /** Ends the claim of an append that has failed. */
  release(): void;
}

/** The objects that an append is about to store. */
export interface Addition extends Footprint {
  readonly user: Fingerprint;
  readonly client: string;
}

/** Room that is reserved for an addition while it is stored. */
export interface Reservation {
  /** An object of this many bytes is in storage, and in the listing. */
  stored(bytes: number): void;
  /** The append has ended: what is still reserved is released. */
  end(): void;
}
