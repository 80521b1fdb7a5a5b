/** What one request may do: what the log asks of the service while it appends and reads. */
import type { Listing } from "../oplog/listing.ts";
import type { Fingerprint } from "../oplog/names.ts";
import type { Addition, AppendPolicy, Reservation } from "../oplog/policy.ts";
import type { MemoryBudget } from "../oplog/prefetch.ts";
import type { ReadOptions } from "../oplog/reader.ts";
import type { Access, AccessRequest } from "./access.ts";
import type { AddressLimiter } from "./address-limiter.ts";
import type { Quota } from "./quota.ts";
import { NewUsersLimited, type RateLimiter, type RateStatus } from "./rate-limiter.ts";
import type { Strangers } from "./strangers.ts";

/** What a policy decides by. */
export interface PolicyParts {
  readonly access: Access;
  readonly quota: Quota;
  /** Limits the requests and bytes of each user. Absent where the limit is turned off. */
  readonly limiter: RateLimiter | undefined;
  /** Limits new users by network address. Absent where the limit is turned off. */
  readonly newUsers: AddressLimiter | undefined;
  /** Absent where the limit is turned off. */
  readonly strangers: Strangers | undefined;
}

/** What is known of a request besides its content. */
export interface RequestContext {
  /** The network address that it is counted under. */
  readonly address: string;
  /** The size of its body, in bytes. */
  readonly bytes: number;
  /** True when it has a valid signature of its user. */
  readonly signed: boolean;
  /** Memory for the operations that are read ahead. */
  readonly budget: MemoryBudget;
}

/** A listed object costs as much as this many bytes: a page of a list costs about a token. */
const BYTES_PER_LISTED_OBJECT = 1024;

/** The policy of a request that was admitted. A class, so that a request makes no closures. */
export class RequestPolicy implements AppendPolicy, ReadOptions, AccessRequest {
  readonly user: Fingerprint;
  readonly signed: boolean;
  readonly budget: MemoryBudget;
  /** The bucket of the rate limiter that the request is charged to. */
  readonly bucket: string;
  /** What is left in it; absent where there is no limit. */
  readonly rate: RateStatus | undefined;
  readonly #parts: PolicyParts;
  readonly #address: string;
  #isCounted = false;

  constructor(
    parts: PolicyParts,
    user: Fingerprint,
    { address, signed, budget }: RequestContext,
    bucket: string,
    rate: RateStatus | undefined,
  ) {
    this.#parts = parts;
    this.user = user;
    this.signed = signed;
    this.budget = budget;
    this.bucket = bucket;
    this.rate = rate;
    this.#address = address;
  }

  check(listing: Listing): Promise<void> | undefined {
    const { strangers, access } = this.#parts;
    if (!this.#isCounted) strangers?.afterList(this.#address, this.user, listing);
    this.#isCounted = true;
    return access.check(this, listing);
  }

  /** The lock is stored, so it makes a user with nothing stored yet a new one. */
  beforeLock(listing: Listing): void {
    if (listing.clients.size > 0 || this.#parts.quota.isAppending(this.user)) return;
    const refusal = this.countNewUser();
    if (refusal !== undefined) throw refusal;
  }

  /** A refused append pays for the objects that the server listed for it. */
  listed(objects: number): void {
    this.#parts.limiter?.charge(this.bucket, objects * BYTES_PER_LISTED_OBJECT);
  }

  /** Reserves quota for an addition, and counts its user if it is the first one stored. */
  reserve(addition: Addition, listing: Listing): Reservation | Error {
    const { quota } = this.#parts;
    const isNew = listing.clients.size === 0 && !listing.signed && !quota.isAppending(this.user);
    const reservation = quota.reserve(addition, listing);
    if (reservation instanceof Error || !isNew) return reservation;
    const refusal = this.countNewUser();
    if (refusal === undefined) return reservation;
    reservation.end();
    return refusal;
  }

  /** Counts a new user of the network address, or returns why there may be none. */
  countNewUser(): NewUsersLimited | undefined {
    const { newUsers } = this.#parts;
    const wait = newUsers?.retryAfter(this.#address) ?? 0;
    if (wait > 0) return new NewUsersLimited(wait);
    newUsers?.charge(this.#address, 1);
    return undefined;
  }
}
