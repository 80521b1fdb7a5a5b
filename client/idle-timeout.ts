import { MIN_BYTES_PER_MS } from "../protocol/limits.ts";
import { LinkedAbort } from "./abort.ts";
import { ServerUnavailable } from "./errors.ts";
import type { Clock } from "./types.ts";

/** The part of a body's reader that is used here. */
export type ResponseReader = Pick<ReadableStreamDefaultReader<Uint8Array>, "read" | "cancel">;

/**
 * Gives a request up when the server is silent for too long, when its answer drips, or when the
 * caller aborts it.
 */
export class IdleTimeout {
  readonly #clock: Clock;
  readonly #milliseconds: number;
  readonly #caller: AbortSignal;
  readonly #abort: LinkedAbort;
  /** The milliseconds that may still be spent waiting for the body. */
  #left: number;

  constructor(clock: Clock, milliseconds: number, caller: AbortSignal) {
    this.#clock = clock;
    this.#milliseconds = milliseconds;
    this.#caller = caller;
    this.#abort = new LinkedAbort(caller);
    this.#left = milliseconds;
  }

  /** For the request. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /**
   * Waits for the head of the answer, as `read` waits for a part of its body.
   *
   * @param bytes of the request; the server allows a slow sender more time, and so does this
   * @param seconds that the server may hold its answer back
   */
  head<Result>(work: () => Promise<Result>, bytes: number, seconds: number): Promise<Result> {
    const sending = Math.ceil(bytes / MIN_BYTES_PER_MS);
    return this.#wait(this.#milliseconds + sending + seconds * 1000, work);
  }

  /**
   * The next bytes of a body, which on the whole may not come more slowly than a request may;
   * `undefined` at its end. The wait ends with the abort at the latest, whether or not the body
   * notices it. Throws `ServerUnavailable` when the read fails or the time is over, and the
   * caller's reason when the caller aborts.
   */
  async read(body: ResponseReader): Promise<Uint8Array | undefined> {
    const start = this.#clock.now();
    const { value } = await this.#wait(Math.min(this.#milliseconds, this.#left), () => body.read());
    const waited = this.#clock.now() - start;
    this.#left += (value?.length ?? 0) / MIN_BYTES_PER_MS - waited;
    return value;
  }

  async #wait<Result>(limit: number, work: () => Promise<Result>): Promise<Result> {
    this.#caller.throwIfAborted();
    const { signal } = this;
    const waiting = new LinkedAbort(signal);
    let late = false;
    const over = this.#clock.sleep(limit, waiting.signal).then((): never => {
      late = !waiting.signal.aborted;
      if (late) this.#abort.abort(new Error("it is silent, or too slow"));
      throw signal.reason;
    });
    try {
      const result = await Promise.race([work(), over]);
      // An abort cancels the body, which ends a read as if the body had ended.
      signal.throwIfAborted();
      return result;
    } catch (error) {
      this.#caller.throwIfAborted();
      const cause: unknown = signal.aborted ? signal.reason : error;
      const code = late ? "idle-timeout" : "unreachable";
      throw new ServerUnavailable(`the server cannot be reached: ${reasonOf(cause)}`, code, {
        cause,
      });
    } finally {
      // With a reason: the one that it has otherwise takes longer to make than the rest of a wait.
      waiting.abort(null);
    }
  }

  /** Aborts the rest of the request. */
  end(): void {
    this.#abort.abort();
  }
}

/** The message and that of its cause: the message of Node's `fetch` is only "fetch failed". */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { message, cause } = error;
  const more = cause instanceof Error ? cause.message : "";
  return more === "" || message.includes(more) ? message : `${message}: ${more}`;
}
