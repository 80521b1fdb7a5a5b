/**
 * What a request means: who may make it, how much it may store, and then append and read, or erase.
 * Knows neither HTTP nor files.
 */
import type { Appender } from "../oplog/appender.ts";
import type { Listing } from "../oplog/listing.ts";
import type { ListingCache } from "../oplog/listing-cache.ts";
import type { Fingerprint } from "../oplog/names.ts";
import type { AccessCheck, Addition, Reservation } from "../oplog/policy.ts";
import type { MemoryBudget } from "../oplog/prefetch.ts";
import type { Reader, Reading } from "../oplog/reader.ts";
import { type Access, SignatureRequired } from "./access.ts";
import type { AddressLimiter } from "./address-limiter.ts";
import { type AllowList, UserNotAllowed } from "./allow-list.ts";
import type { Erasures } from "./erasure.ts";
import type { Quota } from "./quota.ts";
import { NewUsersLimited, RateLimited, type RateLimiter, type RateStatus } from "./rate-limiter.ts";
import type { EraseRequest, SyncRequest } from "./request.ts";
import type { Strangers } from "./strangers.ts";

export interface SyncServiceOptions {
  readonly appender: Appender;
  readonly reader: Reader;
  readonly access: Access;
  readonly erasures: Erasures;
  readonly quota: Quota;
  /** True when every request has to be signed. */
  readonly signaturesRequired: boolean;
  /** Absent where everybody may be a user. */
  readonly allowList: AllowList | undefined;
  /** Limits the requests and bytes of each user. Absent where the limit is turned off. */
  readonly limiter: RateLimiter | undefined;
  /** Limits new users by network address. Absent where the limit is turned off. */
  readonly newUsers: AddressLimiter | undefined;
  /** Absent where the limit is turned off. */
  readonly strangers: Strangers | undefined;
  readonly listings: ListingCache;
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

/** The operations to answer with. */
export interface SyncResult extends Reading {
  readonly again: () => Promise<SyncResult>;
  /** What is left of the user's rate limit; absent where there is none. */
  readonly rate: RateStatus | undefined;
  /** For `refund`. */
  readonly bucket: string;
}

/** A request that may go on, unless the listing forbids it. */
interface Authorized {
  readonly check: AccessCheck;
  readonly bucket: string;
  readonly rate: RateStatus | undefined;
}

/** An operation costs as much as this many bytes, however short it is. */
const BYTES_PER_OPERATION = 1024;

/** A listed object costs as much as this many bytes: a page of a list costs about a token. */
const BYTES_PER_LISTED_OBJECT = 1024;

/** Syncs and erases users: authorize, append, read. */
export class SyncService {
  readonly #options: SyncServiceOptions;

  constructor(options: SyncServiceOptions) {
    this.#options = options;
  }

  /**
   * Throws, or rejects with, `UserNotAllowed`; a promise only where the list has to be read. Apart
   * from `sync` and `erase`, so that it comes before the signature is verified, which costs far more.
   */
  checkAllowed(user: Fingerprint): Promise<void> | undefined {
    const allowed = this.#options.allowList?.has(user) ?? true;
    if (typeof allowed !== "boolean") return allowed.then((isUser) => requireAllowed(user, isUser));
    requireAllowed(user, allowed);
    return undefined;
  }

  /**
   * Appends what the request brings, durably, and returns what its sender is not aware of. Throws
   * errors with the `code` of a problem, of which most have stored nothing; PROTOCOL.md says which.
   */
  async sync(request: SyncRequest, context: RequestContext): Promise<SyncResult> {
    const { appender, reader, access, limiter, signaturesRequired } = this.#options;
    const { user, client, append, versionVector } = request;
    const brought = append?.payloads.length ?? 0;
    const mustSign = signaturesRequired ? "this server requires a signature" : undefined;
    const { check, bucket, rate } = this.#authorize(user, context, brought, mustSign);
    if (append !== undefined) {
      const { address } = context;
      const policy = {
        check,
        // A refused append pays for the objects that the server listed for it.
        listed: (objects: number) => limiter?.charge(bucket, objects * BYTES_PER_LISTED_OBJECT),
        reserve: (addition: Addition, listing: Listing) =>
          this.#reserve(addition, listing, address),
      };
      try {
        await appender.append({ user, client, ...append }, policy);
      } finally {
        const settling = access.afterAppend(user);
        if (settling !== undefined) await settling;
      }
    }
    const { budget } = context;
    return this.#charged(await reader.read(user, versionVector, { check, budget }), bucket, rate);
  }

  /** Charges for the operations to answer with, in advance, so that downloads side by side count. */
  #charged(reading: Reading, bucket: string, rate: RateStatus | undefined): SyncResult {
    const { count, bytes, lines } = reading;
    if (count > 0) {
      this.#options.limiter?.charge(bucket, bytes + count * BYTES_PER_OPERATION);
    }
    return {
      count,
      bytes,
      lines,
      again: async () => this.#charged(await reading.again(), bucket, rate),
      rate,
      bucket,
    };
  }

  /** Gives back what was charged for bytes of a result that were not sent. */
  refund({ bucket, bytes }: SyncResult, sent: number): void {
    this.#options.limiter?.charge(bucket, Math.min(0, sent - bytes));
  }

  /** Deletes all that is stored of a user but a tombstone. Throws as `sync` does. */
  async erase({ user }: EraseRequest, context: RequestContext): Promise<RateStatus | undefined> {
    const { erasures } = this.#options;
    const { rate } = this.#authorize(user, context, 0, "a deletion must be signed");
    // The tombstone is stored, so it makes a user with nothing stored yet a new one.
    if (!(await erasures.hasStored(user))) {
      const refusal = this.#countNewUser(context.address);
      if (refusal !== undefined) throw refusal;
    }
    await erasures.erase(user);
    return rate;
  }

  /** Charges a request to its user, and makes its access check. */
  #authorize(
    user: Fingerprint,
    { address, bytes, signed }: RequestContext,
    operations: number,
    mustSign: string | undefined,
  ): Authorized {
    const { access, limiter, quota, strangers, listings } = this.#options;
    if (!signed && mustSign !== undefined) throw new SignatureRequired(user, mustSign);
    strangers?.beforeList(address, user, listings.current(user));
    // After the signature was verified, and apart from unsigned requests: knowing the public key
    // alone must not take tokens from those who can sign.
    const bucket = signed ? `signed.${user}` : user;
    const rate = limiter && charge(limiter, bucket, bytes + operations * BYTES_PER_OPERATION);
    const accessCheck = access.check(user, signed, (listing) => {
      // The lock is stored, so it makes a user with nothing stored yet a new one.
      if (listing.clients.size > 0 || quota.isAppending(user)) return;
      const refusal = this.#countNewUser(address);
      if (refusal !== undefined) throw refusal;
    });
    let isCounted = false;
    const check: AccessCheck = (listing) => {
      if (!isCounted) strangers?.afterList(address, user, listing);
      isCounted = true;
      return accessCheck(listing);
    };
    return { check, bucket, rate };
  }

  /** Reserves quota for an addition, and counts its user if it is the first one stored. */
  #reserve(addition: Addition, listing: Listing, address: string): Reservation | Error {
    const { quota } = this.#options;
    const isNew =
      listing.clients.size === 0 && !listing.signed && !quota.isAppending(addition.user);
    const reservation = quota.reserve(addition, listing);
    if (reservation instanceof Error || !isNew) return reservation;
    const refusal = this.#countNewUser(address);
    if (refusal === undefined) return reservation;
    reservation.end();
    return refusal;
  }

  /** Counts a new user of a network address, or returns why there may be none. */
  #countNewUser(address: string): NewUsersLimited | undefined {
    const { newUsers } = this.#options;
    const wait = newUsers?.retryAfter(address) ?? 0;
    if (wait > 0) return new NewUsersLimited(wait);
    newUsers?.charge(address, 1);
    return undefined;
  }
}

function requireAllowed(user: Fingerprint, allowed: boolean): void {
  if (!allowed) throw new UserNotAllowed(user);
}

/** Charges for a request that has brought `bytes`. Throws `RateLimited`. */
function charge(limiter: RateLimiter, bucket: string, bytes: number): RateStatus {
  const { admitted, remaining, fullIn, retryAfter } = limiter.admit(bucket, bytes);
  const rate = { ...limiter.policy, remaining, fullIn };
  if (!admitted) throw new RateLimited(retryAfter, rate);
  return rate;
}
