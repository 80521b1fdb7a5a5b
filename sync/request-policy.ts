/** What one request may do: what the log asks of the service while it appends and reads. */
import type { Listing } from "../oplog/listing.ts";
import type { Asked } from "../oplog/listing-load.ts";
import type { Fingerprint } from "../oplog/names.ts";
import type { Addition, AppendPolicy, Reservation, RoomClaim } from "../oplog/policy.ts";
import type { MemoryBudget } from "../oplog/prefetch.ts";
import type { ReadOptions } from "../oplog/reader.ts";
import { SnapshotRequired } from "../oplog/snapshots.ts";
import type { Access, AccessRequest } from "./access.ts";
import type { NewUsers } from "./new-users.ts";
import type { Quota } from "./quota.ts";
import type { QuotaClaims } from "./quota-claims.ts";
import type { NewUsersLimited, RateStatus, UserLimiter } from "./rate-limiter.ts";
import type { Strangers } from "./strangers.ts";

/** What a policy decides by. */
export interface PolicyParts {
  readonly access: Access;
  readonly quota: Quota;
  /** Absent for a lone server. */
  readonly claims: QuotaClaims | undefined;
  /** Limits the requests and bytes of each user. Absent where the limit is turned off. */
  readonly limiter: UserLimiter | undefined;
  /** Limits new users by network address. Absent where the limit is turned off. */
  readonly newUsers: NewUsers | undefined;
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
  /** The guest that its user accepts, as its signature says. */
  readonly guest?: Fingerprint | undefined;
  /** Memory for the operations that are read ahead. */
  readonly budget: MemoryBudget;
}

/** What a reader is aware of, and takes. */
export interface ReaderState {
  readonly user: Fingerprint;
  readonly versionVector: ReadonlyMap<string, number>;
  readonly takesSnapshots?: boolean;
}

/** A listed object costs as much as this many bytes: a page of a list costs about a token. */
const BYTES_PER_LISTED_OBJECT = 1024;

/** How a request was admitted. */
export interface Admission {
  /** The bucket of the rate limiter that the request is charged to. */
  readonly bucket: string;
  /** What is left in it; absent where there is no limit. */
  readonly rate: RateStatus | undefined;
  /** What the cluster said of the log when the request came; absent where listings go by their age. */
  readonly asked: Asked | undefined;
}

/** The policy of a request that was admitted. A class, so that a request makes no closures. */
export class RequestPolicy implements AppendPolicy, ReadOptions, AccessRequest, Admission {
  readonly user: Fingerprint;
  readonly signed: boolean;
  readonly budget: MemoryBudget;
  readonly bucket: string;
  readonly rate: RateStatus | undefined;
  asked: Asked | undefined;
  readonly takesSnapshots: boolean;
  /** Absent for a request that does not read. */
  readonly #versionVector: ReadonlyMap<string, number> | undefined;
  readonly #parts: PolicyParts;
  readonly #address: string;
  #isCounted = false;
  /** Whether the user was counted as a new one. */
  #isCountedAsNew = false;

  constructor(
    parts: PolicyParts,
    {
      user,
      versionVector,
      takesSnapshots = false,
    }: Pick<ReaderState, "user"> & Partial<ReaderState>,
    { address, signed, budget }: RequestContext,
    { bucket, rate, asked }: Admission,
  ) {
    this.#parts = parts;
    this.user = user;
    this.takesSnapshots = takesSnapshots;
    this.#versionVector = versionVector;
    this.signed = signed;
    this.budget = budget;
    this.bucket = bucket;
    this.rate = rate;
    this.asked = asked;
    this.#address = address;
  }

  check(listing: Listing): Promise<void> | undefined {
    const { strangers, access } = this.#parts;
    if (!this.#isCounted) strangers?.afterList(this.#address, this.user, listing);
    this.#isCounted = true;
    const checking = access.check(this, listing);
    if (checking === undefined) return this.#checkSnapshot(listing);
    return checking.then(() => this.#checkSnapshot(listing));
  }

  /** Before an append: its request reads as well, and one that is refused is to store nothing. */
  #checkSnapshot(listing: Listing): undefined {
    if (this.takesSnapshots || this.#versionVector === undefined) return;
    if (listing.isBeyond(this.#versionVector)) throw new SnapshotRequired();
  }

  /** The lock is stored, so it makes a user with nothing stored yet a new one. */
  beforeLock(listing: Listing): Promise<void> | undefined {
    if (listing.clients.size > 0 || this.#parts.quota.isAppending(this.user)) return undefined;
    return throwRefusal(this.countNewUser());
  }

  /** A refused append pays for the objects that the server listed for it. */
  listed(objects: number): void {
    this.#parts.limiter?.charge(this.bucket, objects * BYTES_PER_LISTED_OBJECT);
  }

  /** Reserves quota for an addition, and counts its user if it is the first one stored. */
  reserve(addition: Addition, listing: Listing): Reservation | Error {
    const isNew = this.#isNew(listing);
    const reservation = this.#parts.quota.reserve(addition, listing);
    if (reservation instanceof Error || !isNew) return reservation;
    const refusal = this.#parts.newUsers?.count(this.#address);
    if (refusal === undefined) return reservation;
    reservation.end();
    return refusal;
  }

  /** Counts the user on all servers if it is the first one stored, and claims quota for an addition. */
  claim(
    addition: Addition,
    listing: Listing,
  ): Promise<RoomClaim | Error | "outdated" | undefined> | undefined {
    const claiming = this.#parts.claims?.claim(addition, listing);
    const { newUsers } = this.#parts;
    if (newUsers === undefined || !this.#isNew(listing)) return claiming;
    return this.#countAfter(newUsers, claiming);
  }

  /** Counts a new user once room is claimed: one that is refused for want of it does not count. */
  async #countAfter(
    newUsers: NewUsers,
    claiming: Promise<RoomClaim | Error | "outdated" | undefined> | undefined,
  ): Promise<RoomClaim | Error | "outdated" | undefined> {
    const claim = await claiming;
    if (claim instanceof Error || claim === "outdated") return claim;
    const refusal = await newUsers.countShared(this.#address);
    if (refusal === undefined) this.#isCountedAsNew = true;
    else claim?.release();
    return refusal ?? claim;
  }

  /** Counts a new user of the network address, or returns why there may be none. */
  countNewUser(): NewUsersLimited | undefined | Promise<NewUsersLimited | undefined> {
    const { newUsers } = this.#parts;
    return newUsers?.countShared(this.#address) ?? newUsers?.count(this.#address);
  }

  #isNew(listing: Listing): boolean {
    if (this.#isCountedAsNew || listing.clients.size > 0 || listing.signed) return false;
    return !this.#parts.quota.isAppending(this.user);
  }
}

/** Throws a refusal, or rejects with it. */
function throwRefusal(
  refusal: Error | undefined | Promise<Error | undefined>,
): Promise<void> | undefined {
  if (refusal instanceof Promise) return refusal.then((later) => throwRefusal(later));
  if (refusal !== undefined) throw refusal;
  return undefined;
}
