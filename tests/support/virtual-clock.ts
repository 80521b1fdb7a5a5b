import type { Clock } from "../../client/index.ts";

interface Timer {
  readonly at: number;
  readonly end: () => void;
}

/** A clock that jumps to the next timer whenever everything else rests. */
export class VirtualClock implements Clock {
  #now = 1_800_000_000_000;
  readonly #timers = new Set<Timer>();

  now(): number {
    return this.#now;
  }

  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const end = () => {
        this.#timers.delete(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer = { at: this.#now + milliseconds, end };
      this.#timers.add(timer);
      signal.addEventListener("abort", end);
      if (milliseconds !== Number.POSITIVE_INFINITY) setImmediate(() => this.#jump());
    });
  }

  /** Ends the next timer. */
  #jump(): void {
    const [next] = [...this.#timers].sort((a, b) => a.at - b.at);
    if (next === undefined || next.at === Number.POSITIVE_INFINITY) return;
    this.#now = next.at;
    next.end();
  }
}
