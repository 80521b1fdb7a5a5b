import type { IdleTimeout } from "./idle-timeout.ts";

/**
 * An answer of the server, whose body is read piece by piece with a bound on each wait. It ends
 * with the signal of its request: Node can lose that signal to the garbage collector once `fetch`
 * has returned (nodejs/undici#3644), and then only cancelling the body closes the connection.
 */
export class Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly #reader: Pick<ReadableStreamDefaultReader<Uint8Array>, "read" | "cancel"> | undefined;
  readonly #timeout: IdleTimeout;

  constructor({ status, headers, body }: Response, timeout: IdleTimeout) {
    this.status = status;
    this.headers = headers;
    this.#reader = body?.getReader();
    this.#timeout = timeout;
    const { signal } = timeout;
    // It may have arrived after the wait for it was over.
    if (signal.aborted) this.#cancel();
    else signal.addEventListener("abort", () => this.#cancel());
  }

  /** The next bytes of the body; `undefined` at its end. Throws as `IdleTimeout.wait` does. */
  async read(): Promise<Uint8Array | undefined> {
    const reader = this.#reader;
    if (reader === undefined) return undefined;
    const { value } = await this.#timeout.wait(() => reader.read());
    return value;
  }

  #cancel(): void {
    // A body that broke rejects with the error that its reader was given already.
    this.#reader?.cancel().catch(() => undefined);
  }
}
