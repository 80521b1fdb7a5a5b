import { setTimeout } from "node:timers";
import { lruOf } from "../../storage/lru.ts";
import type { Listing } from "../listing.ts";
import type { Fingerprint } from "../names.ts";
import { FEWEST_SNAPSHOTS } from "./rule.ts";
import { hasTrimmed, Sweeper, type SweeperOptions } from "./sweeper.ts";

export interface RetentionSchedulerOptions extends Omit<SweeperOptions, "signal"> {
  /** How often it looks for logs that are due, in milliseconds. */
  readonly step: number;
  /** Called for a sweep that failed. Nothing is lost by it, and it is tried again later. */
  readonly onError: (user: Fingerprint, error: unknown) => void;
}

/** How often logs are looked for that are due. */
export const RETENTION_STEP_MS = 60_000;

/** How many logs are remembered: a log that was forgotten is found again when it is listed. */
const REMEMBERED = 100_000;

/**
 * Decides when a log is swept: when it is listed with snapshots that were not looked at before, or with
 * something below a floor, and when another of its snapshots is old enough. One sweep at a time.
 */
export class RetentionScheduler {
  readonly #options: RetentionSchedulerOptions;
  readonly #sweeper: Sweeper;
  /** When to sweep each log, in milliseconds of Unix time. */
  readonly #due = lruOf<Fingerprint, number>(REMEMBERED);
  /** The newest snapshot that a sweep has seen. */
  readonly #seen = lruOf<Fingerprint, string>(REMEMBERED);
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(options: RetentionSchedulerOptions) {
    this.#options = options;
    this.#sweeper = new Sweeper({ ...options, signal: this.#stop.signal });
  }

  /** To be called with a listing from storage, and with one to which a snapshot was added. */
  loaded(user: Fingerprint, listing: Listing): void {
    const { deleteDelay, time } = this.#options;
    if (this.#due.has(user)) return;
    const isNew =
      listing.snapshots.length >= FEWEST_SNAPSHOTS && this.#seen.get(user) !== newestIn(listing);
    if (isNew) this.#sweepAt(user, time());
    // Not at once: a sweep may be deleting just that.
    else if (hasTrimmed(listing)) this.#sweepAt(user, time() + deleteDelay);
    if (isNew) this.#seen.set(user, newestIn(listing));
  }

  /** Sweeps every log that is due by now. */
  async sweepDue(): Promise<void> {
    const { time, step, onError } = this.#options;
    for (const [user, at] of [...this.#due]) {
      if (this.#stop.signal.aborted) return;
      if (at > time()) continue;
      try {
        const next = await this.#sweeper.sweep(user);
        if (next === undefined) this.#due.delete(user);
        else this.#due.set(user, next);
      } catch (error) {
        this.#due.set(user, time() + step);
        this.#options.telemetry.count("retention", "failed");
        onError(user, error);
      }
    }
  }

  /** Begins nothing more; resolves once what is running has come to a point where it can stop. */
  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#sweeping;
  }

  #sweepAt(user: Fingerprint, at: number): void {
    this.#due.set(user, at);
    this.#tickLater();
  }

  #tickLater(): void {
    if (this.#stop.signal.aborted || this.#due.size === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#sweeping = this.sweepDue().then(() => {
        this.#timer = undefined;
        this.#tickLater();
      });
    }, this.#options.step);
    // Retention does not keep the process running.
    this.#timer.unref();
  }
}

function newestIn({ snapshots }: Listing): string {
  const newest = snapshots.at(-1);
  return newest === undefined ? "" : `${newest.at} ${newest.md5} ${snapshots.length}`;
}
