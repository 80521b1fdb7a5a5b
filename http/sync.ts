import type { ServerRequest } from "srvx";
import type { Fingerprint } from "../storage/names.ts";
import { type Access, type Door, SignatureRequired } from "../sync/access.ts";
import type { Erasures } from "../sync/erasure.ts";
import type { Limiter, Verdict } from "../sync/limiter.ts";
import type { Log } from "../sync/log.ts";
import {
  type EraseRequest,
  type Parsed,
  parseErase,
  parseRequest,
  type SyncRequest,
} from "../sync/protocol.ts";
import type { Reading } from "../sync/reading.ts";
import { readJson } from "./body.ts";
import { invalidRequest, rateLimited, unauthorized } from "./errors.ts";
import type { Reply } from "./reply.ts";
import { SignatureInvalid, type Signatures } from "./signature.ts";
import { streamOf } from "./stream.ts";

export interface SyncOptions {
  /** In bytes. */
  readonly maxBody: number;
  readonly log: Log;
  readonly access: Access;
  readonly erasures: Erasures;
  readonly signatures: Signatures;
  /** True when every request has to be signed. */
  readonly signaturesRequired: boolean;
  /** Absent where the limit is turned off. */
  readonly limiter: Limiter | undefined;
  /** Milliseconds of Unix time. */
  readonly time: () => number;
  /** Told of a response that was cut because its operations could not be read to their end. */
  readonly onCut: (user: Fingerprint, sent: number, error: unknown) => void;
}

/** A request that was let in so far: what it asks for, and what is to be kept to on the way. */
interface Entered<Asked> {
  readonly asked: Asked;
  readonly door: Door;
  /** Whose tokens it takes. */
  readonly bucket: string;
  readonly rate: Record<string, string>;
}

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
    const { signaturesRequired } = this.#options;
    return this.#letIn(request, parseRequest, signaturesRequired, (entered) => this.#sync(entered));
  }

  /** Answers `DELETE`: the user leaves. Throws what `problemOf` makes an answer of. */
  erase(request: ServerRequest): Promise<Reply> {
    return this.#letIn(request, parseErase, true, async ({ asked, rate }) => {
      await this.#options.erasures.erase(asked.user);
      return { status: 204, headers: { "Cache-Control": "no-store", ...rate }, body: null };
    });
  }

  async #letIn<Asked extends EraseRequest>(
    request: ServerRequest,
    parse: (json: unknown) => Parsed<Asked>,
    signatureRequired: boolean,
    work: (entered: Entered<Asked>) => Promise<Reply>,
  ): Promise<Reply> {
    const { maxBody, access, signatures, limiter, time } = this.#options;
    const { json, body } = await readJson(request, maxBody);
    const asked = parse(json);
    if ("faults" in asked) throw invalidRequest(asked.faults);
    const { user, key } = asked;
    try {
      const signed = await signatures.check(request, body, key);
      if (signatureRequired && !signed) throw new SignatureRequired("it is asked of everybody");
      // After the check, and apart from the unsigned: who has the public key alone takes no token
      // from those who can sign.
      const bucket = signed ? `signed.${user}` : user;
      const verdict = limiter?.admit(bucket, body.byteLength);
      const rate = rateHeaders(limiter, verdict);
      if (verdict?.admitted === false) throw rateLimited(verdict.retryAfter, rate);
      return await work({ asked, door: access.door(user, signed), bucket, rate });
    } catch (error) {
      const refused = error instanceof SignatureInvalid || error instanceof SignatureRequired;
      throw refused ? unauthorized(error, user, time()) : error;
    }
  }

  async #sync({ asked, door, bucket, rate }: Entered<SyncRequest>): Promise<Reply> {
    const { log, access } = this.#options;
    const { user, client, append, aware } = asked;
    if (append !== undefined) {
      await log
        .append(user, client, append.first, append.payloads, door)
        .finally(() => access.afterAppend(user));
    }
    const reading = await log.read(user, aware, door);
    return {
      status: 200,
      headers: {
        "Content-Type": "application/x-ndjson",
        "Cache-Control": "no-store",
        "Operation-Count": String(reading.count),
        ...rate,
      },
      body: reading.count === 0 ? null : await this.#send(user, bucket, reading),
    };
  }

  #send(user: Fingerprint, bucket: string, { bytes, lines }: Reading) {
    const { limiter, onCut } = this.#options;
    // Charged in advance, so that downloads side by side count; what is not sent is paid back.
    limiter?.charge(bucket, bytes);
    this.streaming++;
    return streamOf(lines, ({ sent, error }) => {
      this.streaming--;
      limiter?.charge(bucket, Math.min(0, sent - bytes));
      if (error !== undefined) onCut(user, sent, error);
    });
  }
}

/** The fields of draft-ietf-httpapi-ratelimit-headers, for the one policy there is. */
function rateHeaders(
  limiter: Limiter | undefined,
  verdict: Verdict | undefined,
): Record<string, string> {
  if (limiter === undefined || verdict === undefined) return {};
  const { quota, window } = limiter.policy;
  return {
    "RateLimit-Policy": `"user";q=${quota};w=${window}`,
    RateLimit: `"user";r=${verdict.remaining};t=${verdict.fullIn}`,
  };
}
