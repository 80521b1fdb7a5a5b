import { invalidResponse } from "./errors.ts";
import type { IdleTimeout, ResponseReader } from "./idle-timeout.ts";

/** The most characters of a body that is not read line by line: a problem has a few hundred. */
const MAX_TEXT = 256 * 1024;

/**
 * A response of the server, whose body is read piece by piece with a bound on each wait. It ends
 * with the signal of its request: Node can lose that signal to the garbage collector once `fetch`
 * has returned (nodejs/undici#3644), and then only cancelling the body closes the connection.
 */
export class BoundedResponse {
  readonly status: number;
  readonly headers: Headers;
  readonly #reader: ResponseReader | undefined;
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

  /** The media type, without its parameters. */
  get type(): string | undefined {
    return this.headers.get("content-type")?.split(";")[0]?.trim().toLowerCase();
  }

  /** The next bytes of the body; `undefined` at its end. Throws as `IdleTimeout.read` does. */
  async read(): Promise<Uint8Array | undefined> {
    return this.#reader && this.#timeout.read(this.#reader);
  }

  /** The whole body. Throws as `read` does, and `ServerUnavailable` where it is too long. */
  async text(): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    for (let bytes = await this.read(); bytes !== undefined; bytes = await this.read()) {
      text += decoder.decode(bytes, { stream: true });
      if (text.length > MAX_TEXT) throw invalidResponse("its text is too long");
    }
    return text + decoder.decode();
  }

  #cancel(): void {
    // A body that broke rejects with the error that its reader was given already.
    this.#reader?.cancel().catch(() => undefined);
  }
}
