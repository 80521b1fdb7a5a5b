import type { Clock } from "../../client/index.ts";

/** A clock that stands still until it is set: a client waits until something cuts its pause short. */
export class StoppedClock implements Clock {
  #now = 1_800_000_000_000;

  now(): number {
    return this.#now;
  }

  /** Lets time pass, and ends no sleep. */
  pass(milliseconds: number): void {
    this.#now += milliseconds;
  }

  sleep(_: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }
}
