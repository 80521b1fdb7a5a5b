/**
 * What a request means: who may make it, how much it may store, and then append and read, or erase.
 * Knows neither HTTP nor files.
 */
import type { Announcer } from "../oplog/announcer.ts";
import type { Appender } from "../oplog/appender.ts";
import type { ListingCache } from "../oplog/listing-cache.ts";
import type { Asked } from "../oplog/listing-load.ts";
import type { Fingerprint } from "../oplog/names.ts";
import type { Reader, Reading } from "../oplog/reader.ts";
import { SignatureRequired } from "./access.ts";
import { type AllowList, UserNotAllowed } from "./allow-list.ts";
import type { Erasures } from "./erasure.ts";
import type { Invite } from "./invites.ts";
import { RateLimited, type RateStatus, type UserLimiter, type Verdict } from "./rate-limiter.ts";
import type { AppendRequest, EraseRequest, SyncRequest } from "./request.ts";
import {
  type PolicyParts,
  type ReaderState,
  type RequestContext,
  RequestPolicy,
} from "./request-policy.ts";

export type { ReaderState, RequestContext } from "./request-policy.ts";

export interface SyncServiceOptions extends PolicyParts {
  readonly appender: Appender;
  readonly reader: Reader;
  readonly erasures: Erasures;
  /** True when every request has to be signed. */
  readonly signaturesRequired: boolean;
  /** Absent if the server accepts every user. */
  readonly allowList: AllowList | undefined;
  readonly listings: ListingCache;
  /** Absent for a lone server. */
  readonly announcer: Announcer | undefined;
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

  /** Whether the server has a list of its users. */
  get hasList(): boolean {
    return this.#options.allowList !== undefined;
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
   * As `checkAllowed`, for a request with the code of an invite. Returns the invite with which its user
   * can enter the list, or `undefined` if the server has no list or the user is on it. Rejects with
   * `InviteRefused`, and with `AddressLimited` if too many codes have come from a network address.
   */
  async inviteFor(user: Fingerprint, code: string, address: string): Promise<Invite | undefined> {
    const { allowList, strangers } = this.#options;
    if (allowList === undefined || (await allowList.has(user))) return undefined;
    strangers?.beforeInvite(address);
    return allowList.inviteFor(user, code);
  }

  /**
   * Puts a user on the list; the signature has been verified. Rejects with `InviteRefused` if another user
   * was first, with `UserNotAllowed` if the invite has just been removed, and with `StorageUnavailable`.
   */
  async enter(user: Fingerprint, invite: Invite): Promise<void> {
    await this.#options.allowList?.enter(user, invite);
    await this.checkAllowed(user);
  }

  /**
   * Appends what the request brings, durably, and returns what its sender is not aware of. Throws
   * errors with the `code` of a problem, of which most have stored nothing; PROTOCOL.md says which.
   */
  async sync(request: SyncRequest, context: RequestContext): Promise<SyncResult> {
    const { appender, reader, access, announcer, allowList, signaturesRequired } = this.#options;
    const { user, client, append, versionVector } = request;
    const mustSign = signaturesRequired ? "this server requires a signature" : snapshotRule(append);
    const authorized = this.#authorize(request, context, mustSign);
    const policy = authorized instanceof Promise ? await authorized : authorized;
    // Looks into storage: not before the request was charged.
    if (context.guest !== undefined) await allowList?.letIn(context.guest, user);
    if (append !== undefined) {
      announcer?.beforeStoring();
      try {
        await appender.append({ user, client, ...append }, policy);
      } finally {
        const settling = access.afterAppend(user);
        if (settling !== undefined) await settling;
      }
      // Announcements have come meanwhile: a listing with all of them shows more than was asked for.
      policy.asked = announcer?.known(user) ?? policy.asked;
    }
    const { rate, bucket } = policy;
    return this.#charged({ reading: await reader.read(user, versionVector, policy), rate, bucket });
  }

  /**
   * What a reader that waits is not aware of now. Its request was charged when it came, and its
   * signature was checked then: only the operations are charged here. Throws as `sync` does.
   */
  async look(reader: ReaderState, context: RequestContext): Promise<SyncResult> {
    const { user, versionVector } = reader;
    const check = this.checkAllowed(user);
    if (check !== undefined) await check;
    const { announcer } = this.#options;
    const asked = announcer?.known(user) ?? (await announcer?.ask(user));
    const rate = this.rate(user, context.signed);
    const bucket = bucketOf(user, context.signed);
    const policy = new RequestPolicy(this.#options, reader, context, { bucket, rate, asked });
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
    const policy = await this.#authorize({ user }, context, "a deletion must be signed");
    // The tombstone is stored, so it makes a user with nothing stored yet a new one.
    if (!(await erasures.hasStored(user, policy.asked))) {
      const refusal = await policy.countNewUser();
      if (refusal !== undefined) throw refusal;
    }
    await erasures.erase(user);
    return policy.rate;
  }

  /** Charges a request to its user, and makes its policy; a promise only where others are asked. */
  #authorize(
    request: Pick<EraseRequest, "user"> & Partial<SyncRequest>,
    context: RequestContext,
    mustSign: string | undefined,
  ): RequestPolicy | Promise<RequestPolicy> {
    const { user, append } = request;
    const operations = append?.payloads.length ?? 0;
    const { limiter, strangers, listings, announcer } = this.#options;
    const { address, bytes, signed } = context;
    if (!signed && mustSign !== undefined) throw new SignatureRequired(user, mustSign);
    strangers?.beforeList(address, user, listings.current(user));
    // After the signature was verified.
    const bucket = bucketOf(user, signed);
    // Both in one turn, so that they go to the cluster together.
    const asking = announcer?.ask(user);
    const verdict = limiter?.admit(bucket, bytes + operations * BYTES_PER_OPERATION);
    return asking === undefined && !(verdict instanceof Promise)
      ? this.#admitted(request, context, bucket, verdict, undefined)
      : Promise.all([verdict, asking]).then(([decided, asked]) =>
          this.#admitted(request, context, bucket, decided, asked),
        );
  }

  /** The policy of a request, unless its user has no token left. */
  #admitted(
    reader: Pick<ReaderState, "user"> & Partial<ReaderState>,
    context: RequestContext,
    bucket: string,
    verdict: Verdict | undefined,
    asked: Asked | undefined,
  ): RequestPolicy {
    const { limiter } = this.#options;
    const rate = limiter && verdict && admittedRate(limiter, verdict);
    return new RequestPolicy(this.#options, reader, context, { bucket, rate, asked });
  }
}

/** Unsigned requests count apart: knowing the public key alone must not take tokens from those who sign. */
function bucketOf(user: Fingerprint, signed: boolean): string {
  return signed ? `signed.${user}` : user;
}

/** A snapshot lets other operations be deleted, and so has to be the user's own. */
function snapshotRule(append: AppendRequest | undefined): string | undefined {
  return append?.snapshot === undefined ? undefined : "a snapshot must be signed";
}

function requireAllowed(user: Fingerprint, allowed: boolean): void {
  if (!allowed) throw new UserNotAllowed(user);
}

/** What is left of the rate limit after a request. Throws `RateLimited`. */
function admittedRate({ policy }: UserLimiter, verdict: Verdict): RateStatus {
  const { admitted, remaining, fullIn, retryAfter } = verdict;
  const rate = { ...policy, remaining, fullIn };
  if (!admitted) throw new RateLimited(retryAfter, rate);
  return rate;
}
