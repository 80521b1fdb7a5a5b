/** Runs pieces of work, at most a number of them at once; the others wait in the order they came. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];
  readonly #waitingFirst: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  run<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#run(work, this.#waiting);
  }

  /** As `run`, before all work that waits by `run`. */
  runFirst<Result>(work: () => Promise<Result>): Promise<Result> {
    return this.#run(work, this.#waitingFirst);
  }

  async #run<Result>(work: () => Promise<Result>, queue: (() => void)[]): Promise<Result> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => queue.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waitingFirst.shift() ?? this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }
}
