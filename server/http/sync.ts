import type { ServerRequest } from "srvx";
import type { Appender } from "../../oplog/appender.ts";
import type { Listing } from "../../oplog/listing.ts";
import type { Fingerprint } from "../../oplog/names.ts";
import type { AccessCheck, Addition, AppendPolicy, Reservation } from "../../oplog/policy.ts";
import type { Reader, Reading } from "../../oplog/reader.ts";
import type { Telemetry } from "../../oplog/telemetry.ts";
import { LINES_TYPE, OPERATION_COUNT } from "../../protocol/limits.ts";
import { type Access, SignatureRequired } from "../../sync/access.ts";
import type { Erasures } from "../../sync/erasure.ts";
import type { Quota } from "../../sync/quota.ts";
import {
  NewUsersLimited,
  RateLimited,
  type RateLimiter,
  type RateStatus,
  type Verdict,
} from "../../sync/rate-limiter.ts";
import {
  type EraseRequest,
  parseErase,
  parseRequest,
  type SyncRequest,
} from "../../sync/request.ts";
import type { AllowListFile } from "../allow-list-file.ts";
import type { ConcurrencyLimiter, Permit } from "./admission.ts";
import { readJson } from "./body.ts";
import type { ClientAddresses } from "./client-address.ts";
import { Problem } from "./problems.ts";
import { type Reply, rateFields } from "./response.ts";
import type { RequestSignatures } from "./signature.ts";
import { streamOf } from "./stream.ts";

export interface SyncOptions {
  /** In bytes. */
  readonly maxBody: number;
  /** How long a client may send or take nothing, in milliseconds. */
  readonly timeout: number;
  readonly appender: Appender;
  readonly reader: Reader;
  readonly access: Access;
  readonly erasures: Erasures;
  readonly signatures: RequestSignatures;
  /** True when every request has to be signed. */
  readonly signaturesRequired: boolean;
  readonly addresses: ClientAddresses;
  readonly admission: ConcurrencyLimiter;
  readonly quota: Quota;
  /** Absent where everybody may be a user. */
  readonly users: AllowListFile | undefined;
  /** Counts new users by network address. Absent where the limit is turned off. */
  readonly newUsers: RateLimiter | undefined;
  /** Absent where the limit is turned off. */
  readonly limiter: RateLimiter | undefined;
  /** Milliseconds of Unix time. */
  readonly time: () => number;
  readonly telemetry: Telemetry;
  /** Told of a response that was cut because its operations could not be read to their end. */
  readonly onCut: (user: Fingerprint, sent: number, error: unknown) => void;
}

/** A request that has got a place, and where it came from. */
interface Arrival {
  readonly request: ServerRequest;
  readonly address: string;
  readonly permit: Permit;
}

/** What holds of a request that was let in, whatever it asks for. */
interface Entered {
  readonly user: Fingerprint;
  readonly door: AccessCheck;
  /** Whose tokens it takes. */
  readonly bucket: string;
  readonly rate: RateStatus | undefined;
}

/** An operation costs as much as so many bytes, however short it is. */
const BYTES_PER_OPERATION = 1024;

/** What answers `/sync`: check, limit, and then append and read, or erase. */
export class SyncEndpoint {
  /** Responses that are being sent. */
  streaming = 0;
  readonly #options: SyncOptions;

  constructor(options: SyncOptions) {
    this.#options = options;
  }

  /** Answers `POST`. Throws what `problemOf` makes an answer of. */
  answer(request: ServerRequest): Promise<Reply> {
    return this.#within(request, async (arrival) => {
      const { entered, versionVector, bytes } = await this.#accept(arrival);
      return this.#read(entered, versionVector, bytes, arrival.permit);
    });
  }

  /** Answers `DELETE`: the user leaves. Throws what `problemOf` makes an answer of. */
  erase(request: ServerRequest): Promise<Reply> {
    return this.#within(request, async (arrival) => {
      const { asked, entered } = await this.#letIn(arrival, parseErase, true, () => 0);
      const { erasures } = this.#options;
      // The tombstone is stored, so who has nothing stored yet is new by it.
      const refusal = (await erasures.hasStored(asked.user))
        ? undefined
        : this.#countNew(arrival.address);
      if (refusal !== undefined) throw refusal;
      await erasures.erase(asked.user);
      arrival.permit.release();
      const headers = { "Cache-Control": "no-store", ...rateFields(entered.rate) };
      return { status: 204, headers, body: null };
    });
  }

  /** Does the work in one of the places for requests, if there is one. */
  async #within(
    request: ServerRequest,
    work: (arrival: Arrival) => Promise<Reply>,
  ): Promise<Reply> {
    const { addresses, admission } = this.#options;
    const address = addresses.of(request);
    const permit = admission.acquire(address);
    if (permit === undefined) throw new Problem("overloaded");
    try {
      return await work({ request, address, permit });
    } catch (error) {
      permit.release();
      throw error;
    }
  }

  /** Reads a request and lets it in, or throws why not: the cheap checks before the dear. */
  async #letIn<Asked extends EraseRequest>(
    { request, address, permit }: Arrival,
    parse: (json: unknown) => Asked,
    signatureRequired: boolean,
    operations: (asked: Asked) => number,
  ): Promise<{ asked: Asked; entered: Entered; bytes: number }> {
    const { maxBody, timeout, access, signatures, users, limiter } = this.#options;
    const { json, body } = await readJson(request, { maxBytes: maxBody, permit, timeout });
    const asked = parse(json);
    const { user, key } = asked;
    users?.check(user);
    const signed = signatures.has(request);
    if (signed) {
      await signatures.check(request, body, key);
    } else if (signatureRequired) {
      throw new SignatureRequired(user, "this server requires a signature");
    }
    // After the check, and apart from the unsigned: who has the public key alone takes no token
    // from those who can sign.
    const bucket = signed ? `signed.${user}` : user;
    const verdict = limiter?.admit(
      bucket,
      body.byteLength + operations(asked) * BYTES_PER_OPERATION,
    );
    const rate = rateStatus(limiter, verdict);
    if (verdict?.admitted === false && rate) throw new RateLimited(verdict.retryAfter, rate);
    const door = access.check(user, signed, (listing) => {
      // The lock is stored, so who has nothing stored yet is new by it.
      if (listing.clients.size > 0) return;
      const refusal = this.#countNew(address);
      if (refusal !== undefined) throw refusal;
    });
    return { asked, entered: { user, door, bucket, rate }, bytes: body.byteLength };
  }

  /** Lets a request in, and stores what it brings. */
  async #accept(
    arrival: Arrival,
  ): Promise<{ entered: Entered; versionVector: ReadonlyMap<string, number>; bytes: number }> {
    const { appender, access, signaturesRequired } = this.#options;
    const { asked, entered, bytes } = await this.#letIn<SyncRequest>(
      arrival,
      parseRequest,
      signaturesRequired,
      ({ append }) => append?.payloads.length ?? 0,
    );
    const { user, client, append, versionVector } = asked;
    if (append !== undefined) {
      const policy: AppendPolicy = {
        check: entered.door,
        reserve: (addition, listing) => this.#admit(addition, listing, arrival.address),
      };
      await appender
        .append({ user, client, ...append }, policy)
        .finally(() => access.afterAppend(user));
    }
    return { entered, versionVector, bytes };
  }

  /** Whether something new may be stored: by who is new here, and by the user's quota. */
  #admit(addition: Addition, listing: Listing, address: string): Reservation | Error {
    const { quota } = this.#options;
    const isNew = listing.clients.size === 0 && !listing.signed && !quota.stores(addition.user);
    const reservation = quota.reserve(addition, listing);
    if (reservation instanceof Error || !isNew) return reservation;
    const refusal = this.#countNew(address);
    if (refusal === undefined) return reservation;
    reservation.end();
    return refusal;
  }

  /** Counts a new user; says why there may be no more from this network address. */
  #countNew(address: string): Error | undefined {
    const verdict = this.#options.newUsers?.admit(address, 0);
    return verdict?.admitted === false ? new NewUsersLimited(verdict.retryAfter) : undefined;
  }

  async #read(
    entered: Entered,
    versionVector: ReadonlyMap<string, number>,
    brought: number,
    permit: Permit,
  ): Promise<Reply> {
    const { user, door, rate } = entered;
    const reading = await this.#options.reader.read(user, versionVector, {
      check: door,
      budget: permit,
    });
    // Not before: what it has brought says what the sender is aware of, which may be much.
    permit.free(brought);
    if (reading.count === 0) permit.release();
    return {
      status: 200,
      headers: {
        "Content-Type": LINES_TYPE,
        "Cache-Control": "no-store",
        [OPERATION_COUNT]: String(reading.count),
        ...rateFields(rate),
      },
      body: reading.count === 0 ? null : await this.#send(entered, reading, permit),
    };
  }

  #send({ user, bucket }: Entered, { count, bytes, lines }: Reading, permit: Permit) {
    const { timeout, limiter, telemetry, onCut } = this.#options;
    // Charged in advance, so that downloads side by side count; what is not sent is paid back.
    limiter?.charge(bucket, bytes + count * BYTES_PER_OPERATION);
    this.streaming++;
    return streamOf(lines, {
      timeout,
      onEnd: ({ sent, error, stalled = false }) => {
        this.streaming--;
        permit.release();
        limiter?.charge(bucket, Math.min(0, sent - bytes));
        if (stalled) telemetry.count("stalled");
        if (error !== undefined) onCut(user, sent, error);
      },
    });
  }
}

function rateStatus(
  limiter: RateLimiter | undefined,
  verdict: Verdict | undefined,
): RateStatus | undefined {
  if (limiter === undefined || verdict === undefined) return undefined;
  const { remaining, fullIn } = verdict;
  return { ...limiter.policy, remaining, fullIn };
}
