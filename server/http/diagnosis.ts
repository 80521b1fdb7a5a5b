/** Answers what `sync-server doctor` asks, by the way of every sync request. */
import { setTimeout } from "node:timers";
import type { ServerRequest } from "srvx";
import * as v from "valibot";
import { DIAGNOSE, LINES_TYPE, PREFER, SYNC_PATH } from "../../protocol/limits.ts";
import { InvalidRequest } from "../../sync/request.ts";
import type { BodyReader } from "./body-reader.ts";
import type { ClientAddresses } from "./client-address.ts";
import type { ConcurrencyLimiter } from "./concurrency-limiter.ts";
import { hasPreference } from "./prefer.ts";
import { Problem } from "./problems.ts";
import type { Reply } from "./response.ts";
import { claimedOriginOf } from "./signature.ts";

export interface DiagnosisOptions {
  readonly addresses: ClientAddresses;
  readonly limiter: ConcurrencyLimiter;
  readonly bodies: BodyReader;
  /** `PUBLIC_URL`. */
  readonly publicUrl: string | undefined;
  readonly maxBody: number;
  /** `MAX_WAIT` in milliseconds. */
  readonly maxWait: number;
  /** Milliseconds of Unix time. */
  readonly time: () => number;
}

/** How many of them may wait, or be sent in two parts, at once. */
const PLACES = 8;

/** The time between the two lines of an answer in parts, in milliseconds. */
const BETWEEN_MS = 1000;

const Question = v.object({
  address: v.optional(v.pipe(v.string(), v.maxLength(64)), ""),
  wait: v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(240)), 0),
  parts: v.optional(v.boolean(), false),
});

export class Diagnosis {
  readonly #options: DiagnosisOptions;
  /** What ends each of those that wait. */
  readonly #waits = new Set<() => void>();

  constructor(options: DiagnosisOptions) {
    this.#options = options;
  }

  isAsked({ headers }: ServerRequest): boolean {
    const field = headers.get(PREFER);
    return field !== null && hasPreference(field, DIAGNOSE);
  }

  /** Stores nothing, and needs no user. Throws errors that `problemReply` turns into an answer. */
  async answer(request: ServerRequest): Promise<Reply> {
    const { addresses, limiter, bodies, maxWait } = this.#options;
    const permit = limiter.acquire(addresses.of(request));
    if (permit === undefined) throw new Problem("overloaded");
    let question: v.InferOutput<typeof Question>;
    let bytes: number;
    try {
      const { json, body } = await bodies.readJson(request, permit);
      const result = v.safeParse(Question, json);
      if (!result.success) {
        const detail = "is no question of a diagnosis";
        throw new InvalidRequest([{ pointer: "", detail }]);
      }
      question = result.output;
      bytes = body.byteLength;
    } finally {
      permit.release();
    }
    const { wait, parts } = question;
    const line = `${JSON.stringify({ ...this.#seen(request, question.address), bytes })}\n`;
    const rest = `${JSON.stringify({ end: true })}\n`;
    if (this.#waits.size >= PLACES && (wait > 0 || parts)) throw new Problem("overloaded");
    await this.#pause(Math.min(wait * 1000, maxWait));
    return {
      status: 200,
      headers: { "Content-Type": LINES_TYPE, "Cache-Control": "no-store" },
      ...(parts ? this.#inParts(line, rest) : { body: line + rest }),
    };
  }

  /** Answers those that wait. */
  stop(): void {
    for (const end of this.#waits) end();
  }

  #seen(request: ServerRequest, named: string): object {
    const { addresses, publicUrl, maxBody, maxWait, time } = this.#options;
    const origin = publicUrl ?? claimedOriginOf(request);
    const { host, pathname } = new URL((origin ?? "http://unknown") + SYNC_PATH);
    const { headers } = request;
    const forwarded = headers.get("x-forwarded-for") ?? headers.get("forwarded");
    return {
      authority: host,
      path: pathname,
      http: request.runtime?.node?.req.httpVersion ?? null,
      time: new Date(time()).toISOString(),
      max_body: maxBody,
      max_wait: maxWait / 1000,
      // Which addresses these are is nobody's business.
      hops: forwarded === null ? 0 : forwarded.split(",").length,
      first: named !== "" && forwarded?.split(",", 1)[0]?.trim() === named,
      trusted: addresses.isTrusted(request),
      named: named !== "" && addresses.of(request) === named,
    };
  }

  #inParts(first: string, second: string): Pick<Reply, "body" | "ended"> {
    const encoder = new TextEncoder();
    const pause = this.#pause(BETWEEN_MS);
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      async start(controller) {
        controller.enqueue(encoder.encode(first));
        await pause;
        try {
          controller.enqueue(encoder.encode(second));
          controller.close();
        } catch (error) {
          // Its reader has hung up.
          if (!(error instanceof TypeError)) throw error;
        }
      },
    });
    return { body, ended: pause.then(() => ({})) };
  }

  /** Resolves after some milliseconds, or at the stop of the server. */
  async #pause(milliseconds: number): Promise<void> {
    if (milliseconds === 0) return;
    let end = () => undefined;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      end = () => {
        clearTimeout(timer);
        resolve();
      };
      this.#waits.add(end);
    });
    this.#waits.delete(end);
  }
}
