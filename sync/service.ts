/**
 * What a request means: who may make it, how much it may store, and then append and read, or erase.
 * Knows neither HTTP nor files.
 */
import type { Appender } from "../oplog/appender.ts";
import type { ListingCache } from "../oplog/listing-cache.ts";
import type { Fingerprint } from "../oplog/names.ts";
import type { Reader, Reading } from "../oplog/reader.ts";
import { SignatureRequired } from "./access.ts";
import { type AllowList, UserNotAllowed } from "./allow-list.ts";
import type { Erasures } from "./erasure.ts";
import { RateLimited, type RateLimiter, type RateStatus } from "./rate-limiter.ts";
import type { EraseRequest, SyncRequest } from "./request.ts";
import { type PolicyParts, type RequestContext, RequestPolicy } from "./request-policy.ts";

export type { RequestContext } from "./request-policy.ts";

export interface SyncServiceOptions extends PolicyParts {
  readonly appender: Appender;
  readonly reader: Reader;
  readonly erasures: Erasures;
  /** True when every request has to be signed. */
  readonly signaturesRequired: boolean;
  /** Absent where everybody may be a user. */
  readonly allowList: AllowList | undefined;
  readonly listings: ListingCache;
}

/** The operations to answer with. */
export interface SyncResult {
  readonly reading: Reading;
  /** What is left of the user's rate limit; absent where there is none. */
  readonly rate: RateStatus | undefined;
  /** For `again` and `refund`. */
  readonly bucket: string;
}

/** An operation costs as much as this many bytes, however short it is. */
const BYTES_PER_OPERATION = 1024;

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
    const { appender, reader, access, signaturesRequired } = this.#options;
    const { user, client, append, versionVector } = request;
    const brought = append?.payloads.length ?? 0;
    const mustSign = signaturesRequired ? "this server requires a signature" : undefined;
    const policy = this.#authorize(user, context, brought, mustSign);
    if (append !== undefined) {
      const { first, payloads } = append;
      try {
        await appender.append({ user, client, first, payloads }, policy);
      } finally {
        const settling = access.afterAppend(user);
        if (settling !== undefined) await settling;
      }
    }
    const { rate, bucket } = policy;
    return this.#charged({ reading: await reader.read(user, versionVector, policy), rate, bucket });
  }

  /**
   * What a reader that waits is not aware of now. Its request was charged when it came, and its
   * signature was checked then: only the operations are charged here. Throws as `sync` does.
   */
  async look(
    user: Fingerprint,
    versionVector: ReadonlyMap<string, number>,
    context: RequestContext,
  ): Promise<SyncResult> {
    const check = this.checkAllowed(user);
    if (check !== undefined) await check;
    const rate = this.rate(user, context.signed);
    const policy = new RequestPolicy(
      this.#options,
      user,
      context,
      bucketOf(user, context.signed),
      rate,
    );
    const reading = await this.#options.reader.read(user, versionVector, policy);
    return this.#charged({ reading, rate, bucket: policy.bucket });
  }

  /** What is left of a user's rate limit; `undefined` where there is none. */
  rate(user: Fingerprint, signed: boolean): RateStatus | undefined {
    return this.#options.limiter?.status(bucketOf(user, signed));
  }

  /** The result of reading once more, where what turned out to be damaged is left out. */
  async again({ reading, rate, bucket }: SyncResult): Promise<SyncResult> {
    return this.#charged({ reading: await reading.again(), rate, bucket });
  }

  /** Charges for the operations to answer with, in advance, so that downloads side by side count. */
  #charged(result: SyncResult): SyncResult {
    const { count, bytes } = result.reading;
    if (count > 0) {
      this.#options.limiter?.charge(result.bucket, bytes + count * BYTES_PER_OPERATION);
    }
    return result;
  }

  /** Gives back what was charged for bytes of a result that were not sent. */
  refund({ bucket, reading }: SyncResult, sent: number): void {
    this.#options.limiter?.charge(bucket, Math.min(0, sent - reading.bytes));
  }

  /** Deletes all that is stored of a user but a tombstone. Throws as `sync` does. */
  async erase({ user }: EraseRequest, context: RequestContext): Promise<RateStatus | undefined> {
    const { erasures } = this.#options;
    const policy = this.#authorize(user, context, 0, "a deletion must be signed");
    // The tombstone is stored, so it makes a user with nothing stored yet a new one.
    if (!(await erasures.hasStored(user))) {
      const refusal = policy.countNewUser();
      if (refusal !== undefined) throw refusal;
    }
    await erasures.erase(user);
    return policy.rate;
  }

  /** Charges a request to its user, and makes its policy. */
  #authorize(
    user: Fingerprint,
    context: RequestContext,
    operations: number,
    mustSign: string | undefined,
  ): RequestPolicy {
    const { limiter, strangers, listings } = this.#options;
    const { address, bytes, signed } = context;
    if (!signed && mustSign !== undefined) throw new SignatureRequired(user, mustSign);
    strangers?.beforeList(address, user, listings.current(user));
    // After the signature was verified.
    const bucket = bucketOf(user, signed);
    const rate = limiter && charge(limiter, bucket, bytes + operations * BYTES_PER_OPERATION);
    return new RequestPolicy(this.#options, user, context, bucket, rate);
  }
}

/** Unsigned requests count apart: knowing the public key alone must not take tokens from those who sign. */
function bucketOf(user: Fingerprint, signed: boolean): string {
  return signed ? `signed.${user}` : user;
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
