import { MIN_BYTES_PER_MS } from "../protocol/limits.ts";
import { LinkedAbort } from "./abort.ts";
import { ServerUnavailable } from "./errors.ts";
import type { Clock } from "./types.ts";

/** Gives a request up when the server is silent for too long, or when the caller aborts it. */
export class IdleTimeout {
  readonly #clock: Clock;
  readonly #milliseconds: number;
  readonly #caller: AbortSignal;
  readonly #abort: LinkedAbort;

  constructor(clock: Clock, milliseconds: number, caller: AbortSignal) {
    this.#clock = clock;
    this.#milliseconds = milliseconds;
    this.#caller = caller;
    this.#abort = new LinkedAbort(caller);
  }

  /** For the request. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /**
   * Waits for the server once, at most until the abort, whether or not the work notices it. Throws `ServerUnavailable` when the work fails or the time is over,
   * and the caller's reason when the caller aborts.
   *
   * @param bytes sent meanwhile; the server allows a slow sender more time, and so does this
   */
  async wait<Result>(work: () => Promise<Result>, bytes = 0): Promise<Result> {
    this.#caller.throwIfAborted();
    const limit = this.#milliseconds + Math.ceil(bytes / MIN_BYTES_PER_MS);
    const answered = new AbortController();
    let late = false;
    void this.#clock.sleep(limit, answered.signal).then(() => {
      if (answered.signal.aborted) return;
      late = true;
      this.#abort.abort(new Error(`silent for ${limit} ms`));
    });
    try {
      return await this.#unlessAborted(work);
    } catch (error) {
      this.#caller.throwIfAborted();
      const cause: unknown = this.signal.aborted ? this.signal.reason : error;
      const code = late ? "idle-timeout" : "unreachable";
      throw new ServerUnavailable(`the server cannot be reached: ${reasonOf(cause)}`, code, {
        cause,
      });
    } finally {
      answered.abort();
    }
  }

  async #unlessAborted<Result>(work: () => Promise<Result>): Promise<Result> {
    const { signal } = this;
    signal.throwIfAborted();
    let end: () => void = () => undefined;
    const aborted = new Promise<never>((_, reject) => {
      end = () => reject(signal.reason);
      signal.addEventListener("abort", end);
    });
    try {
      const result = await Promise.race([aborted, work()]);
      // An abort cancels the body, which ends a read as if the body had ended.
      signal.throwIfAborted();
      return result;
    } finally {
      signal.removeEventListener("abort", end);
    }
  }

  /** Aborts the rest of the request. */
  end(): void {
    this.#abort.abort(new Error("the rest of the answer is not needed"));
  }
}

/** The message and that of its cause: the message of Node's `fetch` is only "fetch failed". */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, cause } = error;
  const more = cause instanceof Error ? cause.message : "";
  return more === "" || message.includes(more) ? message : `${message}: ${more}`;
}
