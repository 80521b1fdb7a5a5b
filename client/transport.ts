/** Requests to the server and its answers (PROTOCOL.md). */
import { utf8 } from "../protocol/bytes.ts";
import { REQUEST_TYPE, SYNC_PATH } from "../protocol/limits.ts";
import { PROBLEM_TYPE } from "../protocol/problems.ts";
import type { Line } from "../protocol/types.ts";
import { Answer } from "./answer.ts";
import { codeOf, messageOf, ServerRejected, ServerUnavailable } from "./errors.ts";
import { IdleTimeout } from "./idle-timeout.ts";
import { readLines } from "./response.ts";
import { signatureHeaders } from "./signature.ts";
import type { Clock, Fetch, Identity } from "./types.ts";

/** A sync request. `first` and `payloads` belong to the client id in `client`. */
export interface SyncRequest {
  readonly client: string;
  /** The index of the first payload; without payloads, the last index that the client created. */
  readonly first: number | undefined;
  readonly payloads: readonly string[];
  /** For each client id, the last index that need not be sent. */
  readonly status: Readonly<Record<string, number>>;
}

export interface TransportOptions {
  readonly url: string | URL;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly fetch: Fetch;
  /** Whether requests are signed. */
  readonly sign: boolean;
  /** Milliseconds that the server may be silent; a second more for each 4 KiB sent. */
  readonly idleTimeout: number;
}

/** Statuses after which the same request may succeed later. */
const RETRYABLE = new Set([408, 425, 429, 500, 502, 503, 504]);
const MAX_RETRY_AFTER_MS = 24 * 3600 * 1000;

/** Sends the requests of one user to one server. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #url: URL;
  /** The server's clock minus this one, in milliseconds. */
  #skew = 0;

  constructor(options: TransportOptions) {
    this.#options = options;
    const base = new URL(options.url);
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    this.#url = new URL(SYNC_PATH.slice(1), base);
  }

  /**
   * Sends operations and reads: yields lines as they arrive. The first yield, which may have no
   * lines, means that the server has stored what was sent. Throws `ServerRejected` or
   * `ServerUnavailable`; the latter also behind the last whole line of an incomplete answer.
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
    const timeout = this.#timeout(signal);
    try {
      const answer = await this.#send("POST", body, this.#options.sign, timeout);
      yield* readLines(answer);
    } finally {
      timeout.end();
    }
  }

  /**
   * Asks the server to erase everything it stores of the user. Always signed. Throws
   * `ServerRejected` or `ServerUnavailable`.
   */
  async erase(signal: AbortSignal): Promise<void> {
    const timeout = this.#timeout(signal);
    try {
      const body = JSON.stringify({ user: this.#options.identity.publicKey });
      const answer = await this.#send("DELETE", body, true, timeout);
      await answer.text();
    } finally {
      timeout.end();
    }
  }

  #timeout(signal: AbortSignal): IdleTimeout {
    return new IdleTimeout(this.#options.clock, this.#options.idleTimeout, signal);
  }

  /** Returns a 2xx answer. After a 401 that shows another time, signs once more with that time. */
  async #send(method: string, body: string, sign: boolean, timeout: IdleTimeout): Promise<Answer> {
    const answer = await this.#sendOnce(method, body, sign, timeout);
    if (isSuccess(answer)) return answer;
    const date = Date.parse(answer.headers.get("date") ?? "");
    const problem = await problemIn(answer);
    const skew = date - this.#options.clock.now();
    if (sign && answer.status === 401 && Math.abs(skew - this.#skew) > 1000) {
      this.#skew = skew;
      const again = await this.#sendOnce(method, body, sign, timeout);
      if (isSuccess(again)) return again;
      throw this.#failure(again, await problemIn(again));
    }
    throw this.#failure(answer, problem);
  }

  async #sendOnce(
    method: string,
    text: string,
    sign: boolean,
    timeout: IdleTimeout,
  ): Promise<Answer> {
    const { identity, clock, fetch } = this.#options;
    const body = utf8(text);
    const created = Math.floor((clock.now() + this.#skew) / 1000);
    const signable = { method, url: this.#url, contentType: REQUEST_TYPE, body, created };
    const signature = sign ? await signatureHeaders(identity, signable) : {};
    const { signal } = timeout;
    const request = new Request(this.#url.href, {
      method,
      body,
      headers: { "Content-Type": REQUEST_TYPE, ...signature },
      signal,
      // The request carries the user's public key, which only this server may see.
      redirect: "error",
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
    });
    // The signal twice, because Node does not keep that of a request which `fetch` copies.
    const answer = async () => new Answer(await fetch(request, { signal }), timeout);
    return timeout.head(answer, body.length);
  }

  #failure({ status, headers }: Answer, problem: Record<string, unknown>): Error {
    if (!RETRYABLE.has(status)) return new ServerRejected(status, problem);
    return new ServerUnavailable(messageOf(status, problem), codeOf(status, problem), {
      retryAfter: retryAfterOf(headers.get("retry-after"), this.#options.clock.now()),
    });
  }
}

function isSuccess({ status }: Answer): boolean {
  return status >= 200 && status < 300;
}

/** The members of a problem document. Of any other answer, such as a proxy's, only the status counts. */
async function problemIn(answer: Answer): Promise<Record<string, unknown>> {
  if (answer.type !== PROBLEM_TYPE) return {};
  const text = await answer.text();
  try {
    const problem: unknown = JSON.parse(text);
    return typeof problem === "object" && problem !== null ? { ...problem } : {};
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ServerUnavailable("the answer was cut", "incomplete-response", { cause: error });
  }
}

/** Milliseconds of a `Retry-After`: seconds or a date (RFC 9110, section 10.2.3). */
function retryAfterOf(header: string | null, now: number): number {
  if (header === null) return 0;
  const wait = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(wait) ? 0 : Math.min(Math.max(0, wait), MAX_RETRY_AFTER_MS);
}
