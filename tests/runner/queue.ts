/** Limits how many tasks run at once. The runtimes share one, so that no core is idle until the last ends. */
export class WorkQueue {
  readonly #waiting: { readonly rank: number; readonly start: () => void }[] = [];
  #free: number;

  /** @param atOnce how many tasks run at a time */
  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** Runs a task when there is room. The one of the lowest rank is next, and of several the first. */
  async run<Value>(rank: number, task: () => Promise<Value>): Promise<Value> {
    await this.#turn(rank);
    try {
      return await task();
    } finally {
      this.#free++;
      this.#startNext();
    }
  }

  #turn(rank: number): Promise<void> {
    return new Promise((start) => {
      const after = this.#waiting.findIndex((other) => other.rank > rank);
      this.#waiting.splice(after === -1 ? this.#waiting.length : after, 0, { rank, start });
      this.#startNext();
    });
  }

  #startNext(): void {
    if (this.#free === 0) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#free--;
    next.start();
  }
}
