export interface Waiter {
  readonly resolve: () => void;
  readonly reject: (reason: unknown) => void;
}

/** Those who wait for the client to be in step with the server. */
export class Waiters {
  readonly #waiting = new Set<Waiter>();
  #ended: { readonly reason: unknown } | undefined;

  get size(): number {
    return this.#waiting.size;
  }

  /** Resolves or rejects with the others; rejects when the signal is aborted. */
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

  /** Those who wait now. */
  now(): readonly Waiter[] {
    return [...this.#waiting];
  }

  /** All who wait, and all who come, are told that it is over. */
  end(reason: unknown): void {
    this.#ended = { reason };
    for (const { reject } of this.now()) reject(reason);
  }
}
