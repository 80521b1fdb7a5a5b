/**
 * A clock that never goes back, and goes on while the machine sleeps: of the two that there are, one
 * stands still meanwhile, and the other can be set back.
 */
export class WakingClock {
  readonly #steady: () => number;
  readonly #time: () => number;
  #lastSteady: number;
  #lastTime: number;
  #now = 0;

  /**
   * @param steady milliseconds of a clock that never goes back
   * @param time milliseconds of Unix time
   */
  constructor(steady = () => performance.now(), time = Date.now) {
    this.#steady = steady;
    this.#time = time;
    this.#lastSteady = steady();
    this.#lastTime = time();
  }

  /** Milliseconds since it was made. */
  now(): number {
    const [steady, time] = [this.#steady(), this.#time()];
    this.#now += Math.max(steady - this.#lastSteady, time - this.#lastTime);
    this.#lastSteady = steady;
    this.#lastTime = time;
    return this.#now;
  }
}
