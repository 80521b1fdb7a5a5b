/** How often deadlines are checked, in milliseconds. */
const CHECK_EVERY = 100;

/**
 * Checks deadlines while there are any. One timer for all: one for each request would cost more
 * than it takes to read a short body.
 */
export class Deadlines {
  readonly #checks = new Set<() => void>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Calls `check` now and then until the function it returns is called. */
  watch(check: () => void): () => void {
    this.#checks.add(check);
    this.#timer ??= setInterval(() => this.#tick(), CHECK_EVERY);
    return () => {
      this.#checks.delete(check);
    };
  }

  #tick(): void {
    for (const check of this.#checks) check();
    if (this.#checks.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
