/** What is stored of all users, counted from time to time, as long as the server runs. */
import { setTimeout } from "node:timers";
import { StoredCount } from "../../oplog/compaction/stored-count.ts";
import { byUser, PARTS } from "../../oplog/users.ts";
import type { Driver } from "../../storage/driver.ts";

/** What was stored at one time. */
export interface StoredSample {
  /** Milliseconds of Unix time. */
  readonly at: number;
  readonly users: number;
  readonly objects: number;
  readonly bytes: number;
}

/** In milliseconds: from the start to the first count, and from one count to the next. */
export interface StoredHistoryTiming {
  readonly first: number;
  readonly every: number;
}

export interface StoredHistoryOptions {
  readonly driver: Pick<Driver, "list" | "listsCheaply">;
  readonly timing?: Partial<StoredHistoryTiming> | undefined;
  /** Waited for before each list, so that requests go first. */
  readonly pause: () => Promise<void>;
  /** Milliseconds of Unix time. */
  readonly time: () => number;
  /** Called when a count has failed. The next one is at its time. */
  readonly onError: (error: unknown) => void;
}

const HOUR = 3_600_000;

/** How many counts are kept. Of more, every second one is left out. */
export const MOST_SAMPLES = 400;

/**
 * Counts every hour, or once a day where lists cost money: at least 64 on S3, and one for each further 1000
 * objects.
 */
export class StoredHistory {
  readonly #options: StoredHistoryOptions;
  readonly #timing: StoredHistoryTiming;
  #samples: readonly StoredSample[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #counting: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: StoredHistoryOptions) {
    this.#options = options;
    const every = options.driver.listsCheaply === true ? HOUR : 24 * HOUR;
    this.#timing = { first: 10_000, every, ...options.timing };
    this.#countAfter(this.#timing.first);
  }

  /** From the oldest to the newest. */
  get samples(): readonly StoredSample[] {
    return this.#samples;
  }

  /** Counts no more; resolves once nothing is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#counting;
  }

  #countAfter(milliseconds: number): void {
    this.#timer = setTimeout(() => {
      this.#counting = this.#count()
        .catch(this.#options.onError)
        .finally(() => {
          if (!this.#stopped) this.#countAfter(this.#timing.every);
        });
    }, milliseconds);
    this.#timer.unref();
  }

  async #count(): Promise<void> {
    const { driver, pause, time } = this.#options;
    const count = new StoredCount();
    for (const part of PARTS) {
      await pause();
      if (this.#stopped) return;
      count.add(await byUser(await driver.list(part)));
    }
    this.#samples = thinned([...this.#samples, { at: time(), ...count.totals }]);
  }
}

/** At most `MOST_SAMPLES`, with the newest one. */
export function thinned(samples: readonly StoredSample[]): readonly StoredSample[] {
  if (samples.length <= MOST_SAMPLES) return samples;
  const last = samples.length - 1;
  return samples.filter((_, i) => (last - i) % 2 === 0);
}
