/** One call that waits. */
export interface Waiter {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Calls that wait for the same thing, each until its own signal is aborted. */
export class Waiters {
  readonly #waiting = new Set<Waiter>();
  #ended: { readonly reason: unknown } | undefined;

  /** Waits until the call is resolved or rejected, or the signal is aborted. */
  async add(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (this.#ended !== undefined) throw this.#ended.reason;
    return new Promise<void>((resolve, reject) => {
      const leave = () => {
        this.#waiting.delete(waiter);
        signal?.removeEventListener("abort", abort);
      };
      const waiter: Waiter = {
        resolve: () => {
          leave();
          resolve();
        },
        reject: (reason) => {
          leave();
          reject(reason);
        },
      };
      const abort = () => waiter.reject(signal?.reason);
      this.#waiting.add(waiter);
      signal?.addEventListener("abort", abort);
    });
  }

  /** The calls that wait at this moment. */
  now(): readonly Waiter[] {
    return [...this.#waiting];
  }

  /** Rejects all calls, these and later ones. */
  end(reason: unknown): void {
    this.#ended = { reason };
    for (const { reject } of this.now()) reject(reason);
  }
}
