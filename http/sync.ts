import type { ServerRequest } from "srvx";
import type { Fingerprint } from "../storage/names.ts";
import type { Limiter, Verdict } from "../sync/limiter.ts";
import type { Log } from "../sync/log.ts";
import { parseRequest } from "../sync/protocol.ts";
import type { Reading } from "../sync/reading.ts";
import { readJson } from "./body.ts";
import { invalidRequest, rateLimited } from "./errors.ts";
import type { Reply } from "./reply.ts";
import { streamOf } from "./stream.ts";

export interface SyncOptions {
  /** In bytes. */
  readonly maxBody: number;
  readonly log: Log;
  /** Absent where the limit is turned off. */
  readonly limiter: Limiter | undefined;
  /** Told of a response that was cut because its operations could not be read to their end. */
  readonly onCut: (user: Fingerprint, sent: number, error: unknown) => void;
}

/** What answers `POST /sync`: check, limit, append, then read. */
export class SyncEndpoint {
  /** Responses that are being sent. */
  streaming = 0;
  readonly #options: SyncOptions;

  constructor(options: SyncOptions) {
    this.#options = options;
  }

  /** Throws what `problemOf` makes an answer of. */
  async answer(request: ServerRequest): Promise<Reply> {
    const { maxBody, log, limiter } = this.#options;
    const { json, bytes } = await readJson(request, maxBody);
    const parsed = parseRequest(json);
    if ("faults" in parsed) throw invalidRequest(parsed.faults);
    const { user, client, append, aware } = parsed;

    const verdict = limiter?.admit(user, bytes);
    const rate = rateHeaders(limiter, verdict);
    if (verdict?.admitted === false) throw rateLimited(verdict.retryAfter, rate);

    if (append !== undefined) await log.append(user, client, append.first, append.payloads);
    const reading = await log.read(user, aware);
    return {
      status: 200,
      headers: {
        "Content-Type": "application/x-ndjson",
        "Cache-Control": "no-store",
        "Operation-Count": String(reading.count),
        ...rate,
      },
      body: reading.count === 0 ? null : await this.#send(user, reading),
    };
  }

  #send(user: Fingerprint, { bytes, lines }: Reading) {
    const { limiter, onCut } = this.#options;
    // Charged in advance, so that downloads side by side count; what is not sent is paid back.
    limiter?.charge(user, bytes);
    this.streaming++;
    return streamOf(lines, ({ sent, error }) => {
      this.streaming--;
      limiter?.charge(user, Math.min(0, sent - bytes));
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
