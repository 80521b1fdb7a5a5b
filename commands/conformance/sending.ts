/** Sends requests to the server under test, again where it cannot answer for now. */
import { setTimeout } from "node:timers/promises";
import { utf8 } from "../../protocol/bytes.ts";
import { REQUEST_TYPE } from "../../protocol/limits.ts";
import { PROBLEM_URN } from "../../protocol/problems.ts";
import { Answer } from "./answer.ts";
import { Broken, CannotTry } from "./checks.ts";

/** Sends a request; the global `fetch` by default. */
export type Fetch = (request: Request) => Promise<Response>;

export interface Sending {
  readonly method?: string;
  /** Another path than that of sync requests, or a query, relative to it. */
  readonly path?: string;
  /** In addition to `Content-Type`. An empty `Content-Type` is not sent. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array<ArrayBuffer>;
}

export interface SenderOptions {
  /** Where sync requests go. */
  readonly url: URL;
  readonly fetch?: Fetch | undefined;
  /** Ends what is under way, with `NoAnswer`. */
  readonly signal?: AbortSignal;
  /** How long an answer may take, in milliseconds. */
  readonly timeout: number;
  /** For how long a request is sent again that the server cannot answer for now, in milliseconds. */
  readonly patience: number;
}

/** What a server, or a proxy in front of it, says where it cannot answer for now. */
const NOT_NOW = [429, 502, 503, 504];

export class Sender {
  readonly #options: SenderOptions;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Throws `NoAnswer`, and `NotNow` where the patience is over. */
  async send(sending: Sending): Promise<Answer> {
    const { signal, patience } = this.#options;
    const until = performance.now() + patience;
    for (;;) {
      const answer = await this.sendOnce(sending);
      if (!NOT_NOW.includes(answer.status)) return answer;
      const pause = 1000 * Math.max(1, Number(answer.headers.get("retry-after") ?? Number.NaN));
      const isAgain = performance.now() + pause <= until && !limitsNewUsers(answer);
      if (!isAgain) throw new NotNow(answer);
      try {
        await setTimeout(pause, undefined, signal && { signal });
      } catch (error) {
        throw new NoAnswer(error);
      }
    }
  }

  /** The answer to a request, whatever it is. Throws `NoAnswer`. */
  async sendOnce({ method = "POST", path = "", headers, body }: Sending): Promise<Answer> {
    const { url, fetch: send = fetch, signal, timeout } = this.#options;
    const fields = new Headers({ "Content-Type": REQUEST_TYPE, ...headers });
    if (fields.get("Content-Type") === "") fields.delete("Content-Type");
    const inTime = AbortSignal.timeout(timeout);
    const request = new Request(new URL(path, url).href, {
      ...{ method, headers: fields, redirect: "manual" },
      // A text would bring a Content-Type of its own.
      ...(body !== undefined && { body: typeof body === "string" ? utf8(body) : body }),
      signal: signal === undefined ? inTime : AbortSignal.any([signal, inTime]),
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
}

/** No answer, or one that was cut. */
export class NoAnswer extends Broken {
  override name = "NoAnswer";
  constructor(cause: unknown) {
    const { message, cause: inner } = cause instanceof Error ? cause : new Error(String(cause));
    const why = inner instanceof Error && inner.message !== "" ? inner.message : message;
    super(`there is no whole answer: ${why.split("\n")[0]}`, { cause });
  }
}

/** The server cannot answer for now, which a rule allows. */
export class NotNow extends CannotTry {
  override name = "NotNow";
  readonly status: number;

  constructor(answer: Answer) {
    super(
      limitsNewUsers(answer)
        ? "the server takes no more new users from this address for now"
        : `the server answers with ${answer} for now`,
    );
    this.status = answer.status;
  }
}

function limitsNewUsers({ status, text }: Answer): boolean {
  return status === 429 && text.includes(`${PROBLEM_URN}new-users-limited`);
}
