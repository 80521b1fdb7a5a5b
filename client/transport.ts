/** Requests to the server and its answers (PROTOCOL.md). */
import { utf8 } from "../protocol/bytes.ts";
import {
  MAX_BODY,
  OPERATION_COUNT,
  PREFER,
  PREFERENCE_APPLIED,
  REQUEST_TYPE,
  SYNC_PATH,
  SYNC_ROUTE,
} from "../protocol/limits.ts";
import { parseMembers } from "../protocol/ndjson.ts";
import { PROBLEM_TYPE } from "../protocol/problems.ts";
import { MAX_CLOCK_SKEW_SECONDS, type SignedFields } from "../protocol/signature.ts";
import type { Line } from "../protocol/types.ts";
import { BoundedResponse } from "./bounded-response.ts";
import { ServerUnavailable } from "./errors.ts";
import { failureOf, MAX_CLOCK_SKEW_MS } from "./failure.ts";
import { IdleTimeout } from "./idle-timeout.ts";
import { readLines } from "./response-lines.ts";
import { signatureHeaders } from "./signature.ts";
import type { Clock, Fetch, Identity } from "./types.ts";

/** A sync request. `first` and `payloads` belong to the client id in `client`. */
export interface OutgoingRequest {
  readonly client: string;
  /** The index of the first payload; without payloads, the last index that the client created. */
  readonly first: number | undefined;
  /** In base64url. */
  readonly payloads: readonly string[];
  /** For each client id, the last index that need not be sent. */
  readonly status: Readonly<Record<string, number>>;
  /** If the payload is a snapshot: for each client id, the last index that it stands for. */
  readonly covers?: Readonly<Record<string, number>> | undefined;
  /** Whether the answer may begin with a snapshot. */
  readonly snapshots?: boolean;
  /** For how many seconds the server may hold its answer back until there is news. */
  readonly wait?: number;
}

/** What a transport needs to reach a server. */
export interface TransportOptions {
  readonly url: string | URL;
  readonly identity: Identity;
  readonly clock: Clock;
  readonly fetch: Fetch;
  /** Whether requests are signed. */
  readonly sign: boolean;
  /** Headers of requests until the server has accepted one, such as the code of an invite. */
  readonly fields?: SignedFields;
  /** Milliseconds that the server may be silent; a second more for each 4 KiB sent. */
  readonly idleTimeout: number;
}

/** A smaller limit than this is not believed. */
const LEAST_MAX_BODY = 64 * 1024;

/** Sends the requests of one user to one server. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #url: URL;
  /** The server's clock minus this one, in milliseconds. */
  #skew = 0;
  /** What a request has for the list of users, until the server has accepted one. */
  #fields: SignedFields;
  /** The largest body that the server takes, as far as it has said so. */
  maxBody = Infinity;
  /** The number of operations in the last answer. */
  expected = 0;
  /** The seconds that the server would have waited with its last answer; NaN if it does not wait. */
  waits = NaN;

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#fields = options.fields ?? {};
    for (const value of Object.values(this.#fields)) {
      if (!/^[!-~]+$/.test(value)) throw new TypeError("an invite has visible ASCII only");
    }
    const address = String(options.url);
    // A host and a port alone are a URL too: its scheme is the host.
    if (!/^https?:/i.test(address) || !URL.canParse(address)) {
      throw new TypeError(`use a url such as https://sync.example, not ${address}`);
    }
    const base = new URL(address);
    if (!base.pathname.endsWith("/")) base.pathname += "/";
    this.#url = new URL(SYNC_PATH.slice(1), base);
  }

  /**
   * Sends operations and reads: yields lines as they arrive. The first yield, which may have no
   * lines, means that the server has stored what was sent. Throws `ServerRejected` or
   * `ServerUnavailable`; the latter also behind the last whole line of an incomplete answer.
   */
  async *sync(request: OutgoingRequest, signal: AbortSignal): AsyncGenerator<Line[], void, void> {
    const { client, first, payloads, status, covers, snapshots, wait } = request;
    const members = JSON.stringify({
      client_id: client,
      operation_index: first,
      sync_status: status,
      snapshot: covers && { covers },
      snapshots,
      user: this.#options.identity.publicKey,
    });
    // Base64url needs no escape, for which V8 would look for long.
    const texts = `"${payloads.join('","')}"`;
    const payload = covers ? texts : `[${texts}]`;
    const body = payloads.length === 0 ? members : `${members.slice(0, -1)},"payload":${payload}}`;
    const timeout = this.#timeout(signal);
    try {
      const answer = await this.#send("POST", body, this.#options.sign, 200, timeout, wait);
      this.expected = Number(answer.headers.get(OPERATION_COUNT));
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
      await this.#send("DELETE", body, true, 204, timeout);
    } finally {
      timeout.end();
    }
  }

  #timeout(signal: AbortSignal): IdleTimeout {
    return new IdleTimeout(this.#options.clock, this.#options.idleTimeout, signal);
  }

  /**
   * Returns an answer with the status of success. After a 401 that shows another time, or that the
   * request was late, signs once more with that time.
   */
  async #send(
    method: string,
    body: string,
    sign: boolean,
    success: number,
    timeout: IdleTimeout,
    wait?: number,
  ): Promise<BoundedResponse> {
    for (let isRetry = false; ; isRetry = true) {
      // Another request may learn the time while this one is on its way.
      const assumed = this.#skew;
      const signedAt = this.#options.clock.now() + assumed;
      const answer = await this.#sendOnce(method, body, sign, timeout, wait);
      if (answer.status === success) {
        this.#fields = {};
        return answer;
      }
      const date = Date.parse(answer.headers.get("date") ?? "");
      const problem = await problemIn(answer);
      const now = this.#options.clock.now();
      const skew = date - now;
      const isClose = Math.abs(skew) <= MAX_CLOCK_SKEW_MS;
      // Also where the clocks agree: a request may be on its way for too long.
      const isLate = date - signedAt > MAX_CLOCK_SKEW_SECONDS * 1000;
      const mayHelp = isClose && (isLate || Math.abs(skew - assumed) > 1000);
      if (isRetry || !sign || answer.status !== 401 || !mayHelp) {
        throw failureOf(answer, problem, this.#url, now, skew);
      }
      this.#skew = skew;
    }
  }

  async #sendOnce(
    method: string,
    text: string,
    sign: boolean,
    timeout: IdleTimeout,
    wait = 0,
  ): Promise<BoundedResponse> {
    const { identity, clock, fetch } = this.#options;
    const body = utf8(text);
    const created = Math.floor((clock.now() + this.#skew) / 1000);
    const fields = this.#fields;
    const signable = { method, url: this.#url, contentType: REQUEST_TYPE, body, created, fields };
    const signature = sign ? await signatureHeaders(identity, signable) : {};
    const { signal } = timeout;
    const request = new Request(this.#url.href, {
      method,
      body,
      headers: {
        "Content-Type": REQUEST_TYPE,
        ...signature,
        ...fields,
        [PREFER]: `wait=${wait}`,
        [SYNC_ROUTE]: identity.fingerprint.slice(0, 8),
      },
      signal,
      // The request carries the user's public key, which only this server may see.
      redirect: "manual",
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
    });
    // The signal twice, because Node does not keep that of a request which `fetch` copies.
    const work = async () => new BoundedResponse(await fetch(request, { signal }), timeout);
    this.waits = NaN;
    const answer = await timeout.head(work, body.length, wait);
    this.waits = Number(/wait=(\d{1,9})/.exec(answer.headers.get(PREFERENCE_APPLIED) ?? "")?.[1]);
    // A lie must not keep small operations from being created.
    const limit = Number(answer.headers.get(MAX_BODY));
    if (limit > 0) this.maxBody = Math.max(limit, LEAST_MAX_BODY);
    return answer;
  }
}

/** The members of a problem document. Of any other answer, such as a proxy's, only the status counts. */
async function problemIn(answer: BoundedResponse): Promise<Record<string, unknown>> {
  if (answer.type !== PROBLEM_TYPE) return {};
  const text = await answer.text();
  try {
    return parseMembers(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new ServerUnavailable("the answer was cut", "incomplete-response", { cause: error });
  }
}
