/**
 * A controller that is aborted when one of its parents is. `AbortSignal.any` does that too, but a
 * parent that lives long keeps what hangs on it on some runtimes; this one lets go.
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

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  abort(reason?: unknown): void {
    this.release();
    this.#controller.abort(reason);
  }

  /** From now on the parents have no effect. */
  release(): void {
    for (const parent of this.#parents) parent.removeEventListener("abort", this.#onAbort);
  }
}
