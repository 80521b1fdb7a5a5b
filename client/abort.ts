/**
 * An abort controller that follows other signals, as `AbortSignal.any` does. Some runtimes keep
 * what `AbortSignal.any` returns for as long as the longest-lived of its sources; this class
 * removes its listeners when it is aborted or released.
 */
export class LinkedAbort {
  readonly #controller = new AbortController();
  readonly #parents: readonly AbortSignal[];
  readonly #onAbort = () => {
    this.abort(this.#parents.find(({ aborted }) => aborted)?.reason);
  };

  constructor(...parents: readonly (AbortSignal | undefined)[]) {
    this.#parents = parents.filter((parent) => parent !== undefined);
    for (const parent of this.#parents) parent.addEventListener("abort", this.#onAbort);
    if (this.#parents.some(({ aborted }) => aborted)) this.#onAbort();
  }

  /** Aborted by `abort`, or as soon as one of the other signals is. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Aborts the signal with a reason, and stops following the other signals. */
  abort(reason?: unknown): void {
    this.release();
    this.#controller.abort(reason);
  }

  /** Stops following the other signals. */
  release(): void {
    for (const parent of this.#parents) parent.removeEventListener("abort", this.#onAbort);
  }
}
