/** The server under test: what is sent to it, by whom, and what it may hold afterwards. */
import { setTimeout } from "node:timers/promises";
import { type Bytes, utf8 } from "../../protocol/bytes.ts";
import { REQUEST_TYPE, SYNC_PATH } from "../../protocol/limits.ts";
import { PROBLEM_URN } from "../../protocol/problems.ts";
import { Account } from "./account.ts";
import { Answer } from "./answer.ts";
import { Broken, CannotTry } from "./case.ts";

export interface TestedServerOptions {
  /** The address of the server, without `/sync`. */
  readonly address: string;
  readonly newPrivateKey: () => Promise<Bytes>;
  /** Sends a request; the global `fetch` by default. */
  readonly fetch?: (request: Request) => Promise<Response>;
  /** No case begins once it is aborted. */
  readonly signal?: AbortSignal;
}

export interface Sending {
  readonly method?: string;
  /** Another path than that of sync requests, or a query, relative to it. */
  readonly path?: string;
  /** In addition to `Content-Type`. An empty `Content-Type` is not sent. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
  /** Whether a refusal because of load is an answer, and not to be tried again. */
  readonly fetchOnce?: boolean;
}

/** How long an answer may take, in milliseconds. No case has the server wait for longer than half of it. */
const TIMEOUT_MS = 120_000;
/** How often a request is sent again that was refused because of load, and the longest pause, in seconds. */
const TRIES = 5;
const LONGEST_PAUSE = 60;

export class TestedServer {
  /** Where sync requests go. */
  readonly url: URL;
  readonly signal: AbortSignal;
  /** Whether it answers unsigned requests of users who have never signed one. */
  acceptsUnsigned = true;
  readonly #options: TestedServerOptions;
  readonly #accounts: Account[] = [];
  #shared: Promise<Account> | undefined;
  /** Made while the case before is tried. */
  #nextKey: Promise<Bytes> | undefined;

  constructor(options: TestedServerOptions) {
    this.#options = options;
    this.url = new URL(options.address.replace(/^(.{0,2000}[^/])\/*$/, "$1") + SYNC_PATH);
    this.signal = options.signal ?? new AbortController().signal;
  }

  /** A user of whom nothing is stored. */
  async newUser(): Promise<Account> {
    const { newPrivateKey } = this.#options;
    const key = await (this.#nextKey ?? newPrivateKey());
    this.#nextKey = newPrivateKey();
    // Whoever takes it sees the failure.
    this.#nextKey.catch(() => undefined);
    const account = new Account(this, key);
    this.#accounts.push(account);
    return account;
  }

  /** One user for all cases that do not depend on what else is stored of the user. */
  sharedUser(): Promise<Account> {
    this.#shared ??= this.newUser();
    return this.#shared;
  }

  /** Throws `CannotTry` where the server takes no unsigned requests. */
  needUnsigned(): void {
    if (!this.acceptsUnsigned) throw new CannotTry("the server takes no unsigned requests");
  }

  /** Sends a request, again where it is refused because of load. */
  async send(sending: Sending): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      const answer = await this.#sendOnce(sending);
      const { status, headers, text } = answer;
      const type = [429, 503].includes(status) ? text : "";
      if (type.includes(`${PROBLEM_URN}new-users-limited`)) {
        throw new CannotTry("the server takes no more new users from this address for now");
      }
      const pause = Number(headers.get("retry-after") ?? Number.NaN);
      const isAgain = type !== "" && sending.fetchOnce !== true && pause <= LONGEST_PAUSE;
      if (!isAgain || tries === TRIES) return answer;
      await setTimeout(pause * 1000);
    }
  }

  async #sendOnce({ method = "POST", path = "", headers, body }: Sending): Promise<Answer> {
    const { fetch: send = fetch } = this.#options;
    const fields = new Headers({ "Content-Type": REQUEST_TYPE, ...headers });
    if (fields.get("Content-Type") === "") fields.delete("Content-Type");
    const request = new Request(new URL(path, this.url).href, {
      ...{ method, headers: fields, redirect: "manual" },
      // A text would bring a Content-Type of its own.
      ...(body !== undefined && { body: typeof body === "string" ? utf8(body) : body }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    try {
      const response = await send(request);
      const bytes = await response.arrayBuffer();
      const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes);
      return new Answer(response.status, response.headers, text);
    } catch (error) {
      throw new NoAnswer(error);
    }
  }

  /** Erases the users of whom something may be stored. Resolves with how many, and with those who are left. */
  async eraseUsers(): Promise<{ readonly erased: number; readonly left: readonly string[] }> {
    const stored = this.#accounts.filter(({ isStored }) => isStored);
    const left: string[] = [];
    for (const account of stored) {
      try {
        const { status } = await account.erase();
        if (status !== 204) left.push(account.fingerprint);
      } catch (error) {
        if (!(error instanceof Broken) && !(error instanceof CannotTry)) throw error;
        left.push(account.fingerprint);
      }
    }
    return { erased: stored.length - left.length, left };
  }
}

/** No answer, or one that was cut. */
export class NoAnswer extends Broken {
  override name = "NoAnswer";
  constructor(cause: unknown) {
    const { message, cause: inner } = cause instanceof Error ? cause : new Error(String(cause));
    const why = inner instanceof Error && inner.message !== "" ? inner.message : message;
    super(`there is no whole answer: ${why}`, { cause });
  }
}
