/** Access to a user: signed requests only once one was signed, and none once the user was erased. */

import type { Announcer } from "../oplog/announcer.ts";
import type { Listing } from "../oplog/listing.ts";
import type { ListingCache } from "../oplog/listing-cache.ts";
import { type Fingerprint, formatMarker } from "../oplog/names.ts";
import type { Telemetry } from "../oplog/telemetry.ts";
import type { Driver } from "../storage/driver.ts";
import type { Erasures } from "./erasure.ts";

/** Refused: the request has to be signed, and is not. */
export class SignatureRequired extends Error {
  override name = "SignatureRequired";
  readonly code = "signature-required";
  readonly user: Fingerprint;
  constructor(user: Fingerprint, reason: string) {
    super(reason);
    this.user = user;
  }
}

/** Refused: the user was erased. */
export class UserErased extends Error {
  override name = "UserErased";
  readonly code = "user-erased";
  readonly members: { readonly erased_at: string };

  /** @param at when, in seconds of Unix time */
  constructor(at: number) {
    super("this user was erased");
    this.members = { erased_at: new Date(at * 1000).toISOString() };
  }
}

/** A request as its access is checked. */
export interface AccessRequest {
  readonly user: Fingerprint;
  readonly signed: boolean;
  /** May throw, or reject, to refuse a request that would lock. */
  beforeLock(listing: Listing): Promise<void> | undefined;
}

export interface AccessOptions {
  readonly driver: Driver;
  readonly listings: ListingCache;
  readonly erasures: Erasures;
  /** Absent for a lone server. */
  readonly announcer?: Announcer | undefined;
  readonly telemetry: Telemetry;
}

/** Stores and checks the locks of users who have signed, and refuses users who were erased. */
export class Access {
  readonly #options: AccessOptions;
  /** The locks that are being stored: first signed requests side by side wait for the same one. */
  readonly #locks = new Map<Fingerprint, Promise<void>>();

  constructor(options: AccessOptions) {
    this.#options = options;
  }

  /**
   * Whether a request may use a listing of its user. Throws `SignatureRequired` and `UserErased`, both
   * of which are permanent, so a cached listing is enough to refuse. Before the first signed request of
   * a user may go on, the promise locks out unsigned ones, durably.
   */
  check(request: AccessRequest, listing: Listing): Promise<void> | undefined {
    const { erasures } = this.#options;
    const { user, signed } = request;
    const erasedAt = erasures.erasedAt(user, listing);
    if (erasedAt !== undefined) {
      if (listing.leftovers > 0) erasures.sweep(user);
      throw new UserErased(erasedAt);
    }
    if (listing.signed) {
      if (!signed) throw new SignatureRequired(user, "this user has sent a signed request before");
    } else if (signed) {
      const running = this.#locks.get(user);
      if (running !== undefined) return running;
      const before = request.beforeLock(listing);
      const locking = before === undefined ? this.#lock(user) : before.then(() => this.#lock(user));
      const lock = locking.finally(() => this.#locks.delete(user));
      this.#locks.set(user, lock);
      return lock;
    }
    return undefined;
  }

  /**
   * To be called after an append, whether it failed or not: if the user was erased meanwhile, a
   * promise that deletes what it stored and rejects with `UserErased`.
   */
  afterAppend(user: Fingerprint): Promise<never> | undefined {
    return this.#options.erasures.settle(user)?.then((erasedAt) => {
      throw new UserErased(erasedAt);
    });
  }

  async #lock(user: Fingerprint): Promise<void> {
    const { driver, listings, announcer, telemetry } = this.#options;
    announcer?.beforeStoring();
    try {
      await driver.put(formatMarker({ kind: "signed", user }), new Uint8Array());
    } catch (error) {
      await announcer?.unsettled(user);
      throw error;
    }
    listings.marked(user, (listing) => listing.markedSigned());
    await announcer?.changed(user);
    telemetry.count("users", "locked");
    // An erasure that was under way may have listed too early for the marker.
    await this.afterAppend(user);
  }
}
