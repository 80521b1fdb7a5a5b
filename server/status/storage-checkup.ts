/** What storage does when it is used, as `doctor` looks at it: after the start, and when somebody asks later. */
import { setTimeout } from "node:timers";
import { checkStorage, type StorageCheck, type StorageToCheck } from "../checkup/storage-checks.ts";

export interface StorageCheckupOptions {
  readonly driver: StorageToCheck;
  /** From the start to the first look, in milliseconds. */
  readonly first: number;
  /** Milliseconds of Unix time. */
  readonly time: () => number;
  /** Called where a look has failed, and no storage is to blame. */
  readonly onError: (error: unknown) => void;
}

/** What was found, and when that began, in milliseconds of Unix time. */
export interface Checkup {
  readonly at: number;
  readonly checks: readonly StorageCheck[];
}

export interface Findings {
  /** Absent before the end of the first look. */
  readonly latest: Checkup | undefined;
  readonly isRunning: boolean;
}

/** A look costs ten puts, and some more calls: how old the last one may be where somebody asks. */
const FRESH_MS = 3_600_000;

export class StorageCheckup {
  readonly #options: StorageCheckupOptions;
  readonly #stopped = new AbortController();
  readonly #timer: ReturnType<typeof setTimeout>;
  #latest: Checkup | undefined;
  #running: Promise<void> | undefined;

  constructor(options: StorageCheckupOptions) {
    this.#options = options;
    this.#timer = setTimeout(() => this.#begin(), options.first);
    this.#timer.unref();
  }

  /** What was found last, and whether a look is under way. It begins the next one where the last one is old. */
  ask(): Findings {
    const latest = this.#latest;
    if (latest !== undefined && this.#options.time() - latest.at >= FRESH_MS) this.#begin();
    return { latest, isRunning: this.#running !== undefined };
  }

  /** Resolves once nothing is under way, and nothing of it is left in storage. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#stopped.abort();
    await this.#running;
  }

  #begin(): void {
    if (this.#stopped.signal.aborted) return;
    this.#running ??= this.#look()
      .catch(this.#options.onError)
      .finally(() => {
        this.#running = undefined;
      });
  }

  async #look(): Promise<void> {
    const { driver, time } = this.#options;
    const { signal } = this.#stopped;
    const at = time();
    const checks: StorageCheck[] = [];
    for await (const check of checkStorage(driver, signal)) checks.push(check);
    if (!signal.aborted) this.#latest = { at, checks };
  }
}
