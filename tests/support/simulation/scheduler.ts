import { setImmediate } from "node:timers/promises";
import type { Random } from "./random.ts";

/** Decides, by the seed, which of all that waits goes on next. One step is one tick of the clock. */
export class Scheduler {
  readonly #random: Random;
  readonly #waiting: (() => void)[] = [];
  /** How many steps have been taken. */
  #time = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** A clock that never goes back. */
  get now(): number {
    return this.#time;
  }

  /** Lets time pass. */
  skip(ticks: number): void {
    this.#time += ticks;
  }

  /** Resolves when it is this caller's turn. */
  turn(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Gives turns until some work has ended and nothing waits any more. Throws what the work throws. */
  async run(work: Promise<unknown>): Promise<void> {
    let ended = false;
    let failure: { readonly error: unknown } | undefined;
    work.then(
      () => {
        ended = true;
      },
      (error: unknown) => {
        failure = { error };
      },
    );
    for (;;) {
      // All that the last step has set off is done once this resolves: nothing here waits for more.
      await setImmediate();
      if (failure !== undefined) throw failure.error;
      const [next] = this.#waiting.splice(this.#random.between(0, this.#waiting.length - 1), 1);
      if (next === undefined) {
        if (ended) return;
        throw new Error(
          "the simulation hangs: nothing waits for a turn, and the work has not ended",
        );
      }
      this.#time++;
      next();
    }
  }
}
