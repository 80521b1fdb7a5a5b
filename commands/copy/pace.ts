import { setTimeout } from "node:timers/promises";

export interface PaceOptions {
  /** Bytes a second; `Infinity` for no limit. */
  readonly rate: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
  readonly sleep?: (milliseconds: number) => Promise<unknown>;
}

/** Spreads what is moved over time, so that it comes to so many bytes a second and no more. */
export class Pace {
  readonly #rate: number;
  readonly #now: () => number;
  readonly #sleep: (milliseconds: number) => Promise<unknown>;
  /** When all that was taken so far has had its time. */
  #until = Number.NEGATIVE_INFINITY;

  constructor({ rate, now = () => performance.now(), sleep = setTimeout }: PaceOptions) {
    this.#rate = rate;
    this.#now = now;
    this.#sleep = sleep;
  }

  /** Resolves once some bytes may be moved. */
  async take(bytes: number): Promise<void> {
    const now = this.#now();
    const at = Math.max(now, this.#until);
    this.#until = at + (bytes / this.#rate) * 1000;
    if (at > now) await this.#sleep(at - now);
  }
}
