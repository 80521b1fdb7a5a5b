/** How often a timer is looked at. */
const PERIOD_MS = 50;

/** How slow the machine was: how late a timer came at most. Others may use it as well. */
export class Pace {
  #last = performance.now();
  #latest = 0;
  readonly #timer = setInterval(() => {
    const now = performance.now();
    this.#latest = Math.max(this.#latest, now - this.#last - PERIOD_MS);
    this.#last = now;
  }, PERIOD_MS);

  /** A limit for something that takes several turns of several processes. */
  limit(milliseconds: number): number {
    return milliseconds + 10 * this.#latest;
  }

  get latest(): number {
    return this.#latest;
  }

  end(): void {
    clearInterval(this.#timer);
  }
}
