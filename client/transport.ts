/** Requests to the server, and what they are answered with (PROTOCOL.md, sections 4 to 8). */

import { utf8 } from "../protocol/bytes.ts";
import { MIN_BYTES_PER_MS, REQUEST_TYPE, SYNC_PATH } from "../protocol/limits.ts";
import { PROBLEM_TYPE } from "../protocol/problems.ts";
import type { Line } from "../protocol/types.ts";
import { LinkedAbort } from "./abort.ts";
import type { Clock } from "./clock.ts";
import { ServerRejected, ServerUnavailable } from "./failures.ts";
import type { Identity } from "./identity/identity.ts";
import { readLines } from "./response.ts";
import { signatureHeaders } from "./signature.ts";

/** What a sync request says; `first` and `payloads` are of the client itself. */
export interface SyncRequest {
  readonly client: string;
  /** The index of the first payload; without payloads, the last index the client has created. */
  readonly first: number | undefined;
  readonly payloads: readonly string[];
  readonly status: Readonly<Record<string, number>>;
}

export interface TransportOptions {
  readonly url: string | URL;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly fetch: (request: Request) => Promise<Response>;
  /** Whether requests are signed. */
  readonly sign: boolean;
  /**
   * How long to wait for an answer, and for more of it, in milliseconds; and a second more for each
   * 4 KiB that is sent, as the server does.
   */
  readonly patience: number;
}

/** Statuses that say nothing against the request. */
const TRY_AGAIN = new Set([408, 425, 429, 500, 502, 503, 504]);
const LONGEST_WAIT_MS = 24 * 3600 * 1000;

/** Talks to one server as one user. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #url: URL;
  /** What the server's clock is ahead, in milliseconds. */
  #ahead = 0;

  constructor(options: TransportOptions) {
    this.#options = options;
    const base = new URL(options.url);
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    this.#url = new URL(SYNC_PATH.slice(1), base);
  }

  /**
   * Sends operations, and reads: yields lines as they arrive. Once it yields for the first time,
   * what was sent is stored. Throws `ServerRejected` or `ServerUnavailable`; the latter also after all whole
   * lines of an answer that was cut.
   */
  async *sync(request: SyncRequest, signal: AbortSignal): AsyncGenerator<Line[], void, void> {
    const { client, first, payloads, status } = request;
    const body = JSON.stringify({
      client_id: client,
      ...(first === undefined ? {} : { operation_index: first }),
      sync_status: status,
      ...(payloads.length === 0 ? {} : { payload: payloads }),
      user: this.#options.identity.publicKey,
    });
    const patience = new IdleTimeout(this.#options, signal);
    try {
      const response = await this.#send("POST", body, this.#options.sign, patience);
      yield* readLines(response, (read) => patience.wait(read));
    } finally {
      patience.end();
    }
  }

  /**
   * Has the server erase all that it holds of the user; always signed. Throws `ServerRejected` or
   * `ServerUnavailable`.
   */
  async erase(signal: AbortSignal): Promise<void> {
    const patience = new IdleTimeout(this.#options, signal);
    try {
      const body = JSON.stringify({ user: this.#options.identity.publicKey });
      const response = await this.#send("DELETE", body, true, patience);
      await patience.wait(() => response.arrayBuffer());
    } finally {
      patience.end();
    }
  }

  /** A good answer. A request that was refused for its time is sent once more with the server's. */
  async #send(
    method: string,
    body: string,
    sign: boolean,
    patience: IdleTimeout,
  ): Promise<Response> {
    const response = await this.#sendOnce(method, body, sign, patience);
    if (response.ok) return response;
    const date = Date.parse(response.headers.get("date") ?? "");
    const problem = await this.#problem(response, patience);
    const ahead = date - this.#options.clock.now();
    if (sign && response.status === 401 && Math.abs(ahead - this.#ahead) > 1000) {
      this.#ahead = ahead;
      const again = await this.#sendOnce(method, body, sign, patience);
      if (again.ok) return again;
      throw this.#failure(again, await this.#problem(again, patience));
    }
    throw this.#failure(response, problem);
  }

  async #sendOnce(
    method: string,
    text: string,
    sign: boolean,
    patience: IdleTimeout,
  ): Promise<Response> {
    const { identity, clock, fetch } = this.#options;
    const body = utf8(text);
    const created = Math.floor((clock.now() + this.#ahead) / 1000);
    const signable = { method, url: this.#url, contentType: REQUEST_TYPE, body, created };
    const signature = sign ? await signatureHeaders(identity, signable) : {};
    const request = new Request(this.#url.href, {
      method,
      body,
      headers: { "Content-Type": REQUEST_TYPE, ...signature },
      signal: patience.signal,
      // The request carries the user's key, and is for this server alone.
      redirect: "error",
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
    });
    return patience.wait(() => fetch(request), body.length);
  }

  async #problem(response: Response, patience: IdleTimeout): Promise<Record<string, unknown>> {
    const text = await patience.wait(() => response.text());
    try {
      const problem: unknown = JSON.parse(text);
      return typeof problem === "object" && problem !== null ? { ...problem } : {};
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      if (response.headers.get("content-type") === PROBLEM_TYPE) {
        throw new ServerUnavailable("the answer was cut", { cause: error });
      }
      // A proxy answers with a page of its own; the status has to do.
      return {};
    }
  }

  #failure({ status, headers }: Response, problem: Record<string, unknown>): Error {
    const refused = new ServerRejected(status, problem);
    if (!TRY_AGAIN.has(status)) return refused;
    const retryAfter = waitOf(headers.get("retry-after"), this.#options.clock.now());
    const limited = status === 429;
    return new ServerUnavailable(refused.message, { retryAfter, limited, cause: refused });
  }
}

/** Milliseconds of a `Retry-After`: seconds or a date (RFC 9110, section 10.2.3). */
function waitOf(header: string | null, now: number): number {
  if (header === null) return 0;
  const wait = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(wait) ? 0 : Math.min(Math.max(0, wait), LONGEST_WAIT_MS);
}

/** Gives up a request when the server is silent for too long, or when the caller says so. */
class IdleTimeout {
  readonly #options: TransportOptions;
  readonly #caller: AbortSignal;
  readonly #abort: LinkedAbort;

  constructor(options: TransportOptions, caller: AbortSignal) {
    this.#options = options;
    this.#caller = caller;
    this.#abort = new LinkedAbort(caller);
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** Waits for something of the server, to which bytes are sent. What fails is `ServerUnavailable`. */
  async wait<Result>(work: () => Promise<Result>, bytes = 0): Promise<Result> {
    this.#caller.throwIfAborted();
    const { clock } = this.#options;
    const patience = this.#options.patience + Math.ceil(bytes / MIN_BYTES_PER_MS);
    const answered = new AbortController();
    void clock.sleep(patience, answered.signal).then(() => {
      if (!answered.signal.aborted) this.#abort.abort(new Error(`silent for ${patience} ms`));
    });
    try {
      return await work();
    } catch (error) {
      this.#caller.throwIfAborted();
      const cause: unknown = this.signal.aborted ? this.signal.reason : error;
      throw new ServerUnavailable(`the server cannot be reached: ${reasonOf(cause)}`, { cause });
    } finally {
      answered.abort();
    }
  }

  /** Lets go of the answer, if there is more of it. */
  end(): void {
    this.#abort.abort(new Error("the rest is not wanted"));
  }
}

/** The message, and that of what caused it: Node says no more than "fetch failed" at first. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, cause } = error;
  const more = cause instanceof Error ? cause.message : "";
  return more === "" || message.includes(more) ? message : `${message}: ${more}`;
}
