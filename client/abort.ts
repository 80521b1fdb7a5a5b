/**
 * An abort controller that follows another signal, as `AbortSignal.any` does. Some runtimes keep
 * what `AbortSignal.any` returns for as long as its source lives; this class removes its listener
 * when it is aborted or released.
 */
export class LinkedAbort {
  readonly #controller = new AbortController();
  readonly #parent: AbortSignal | undefined;
  readonly #onAbort = () => this.abort(this.#parent?.reason);

  constructor(parent: AbortSignal | undefined) {
    this.#parent = parent;
    parent?.addEventListener("abort", this.#onAbort);
    if (parent?.aborted) this.#onAbort();
  }

  /** Aborted by `abort`, or as soon as the other signal is. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborts the signal with a reason, and stops following the other signal. */
  abort(reason?: unknown): void {
    this.release();
    this.#controller.abort(reason);
  }

  /** Stops following the other signal. */
  release(): void {
    this.#parent?.removeEventListener("abort", this.#onAbort);
  }
}
