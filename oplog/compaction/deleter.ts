/** Deletes superseded objects once they have stayed for long enough. */
import { setTimeout } from "node:timers";
import type { Driver } from "../../storage/driver.ts";
import type { ListingCache } from "../listing-cache.ts";
import { type Fingerprint, formatName } from "../names.ts";
import type { Run } from "../sequence.ts";
import { holderOf, type Superseded } from "../superseded-objects.ts";
import { type Packer, WITHOUT_PAUSE } from "./packer.ts";
import type { Semaphore } from "./semaphore.ts";
import type { CompactionTiming } from "./timing.ts";

export interface DeleterOptions {
  readonly driver: Driver;
  readonly listings: ListingCache;
  readonly packer: Packer;
  readonly semaphore: Semaphore;
  readonly timing: CompactionTiming;
  /** Once it is aborted, nothing more is deleted: a later compaction finds what is left. */
  readonly signal: AbortSignal;
  readonly onError: (user: Fingerprint, error: unknown) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

export class Deleter {
  readonly #options: DeleterOptions;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #deleting: Promise<void> = Promise.resolve();
  #releasing: Promise<void> | undefined;

  constructor(options: DeleterOptions) {
    this.#options = options;
  }

  /** Deletes objects of a user: at once those that copies find nevertheless, others after a while. */
  async delete(user: Fingerprint, superseded: readonly Superseded[]): Promise<void> {
    const { driver, listings, packer, semaphore, signal, timing, now } = this.#options;
    const { deleteDelay } = timing;
    const isFree = ({ client, by }: Superseded, run: Run) =>
      deleteDelay === 0 ||
      (holderOf(run, by) !== undefined &&
        driver.staysForCopies?.(formatName({ user, client, ...run })) === true);
    const free = filter(superseded, isFree);
    const rest = filter(superseded, (one, run) => !isFree(one, run));
    if (free.length > 0 && !signal.aborted) {
      // These take a record each, and records of the same moment are one write.
      await semaphore.runFirst(() => packer.delete(user, free, WITHOUT_PAUSE));
    }
    if (rest.length === 0) return;
    listings.superseded.add(user, rest, now() + deleteDelay);
    this.#deleteLater();
  }

  /** Deletes the objects of a user that have stayed for long enough. */
  async deleteDue(user: Fingerprint, at = this.#options.now()): Promise<void> {
    const { listings, packer, semaphore, signal } = this.#options;
    if (!listings.superseded.isDue(user, at)) return;
    await semaphore.runFirst(async () => {
      if (signal.aborted) return;
      // Whatever supersedes an object has to be there still.
      await listings.fresh(user);
      await packer.delete(user, listings.superseded.takeDue(user, at));
    });
  }

  /** @param at the time by which it is due; all of it is where there is no room for anything else */
  async deleteAllDue(at = this.#options.now()): Promise<void> {
    const { listings, onError } = this.#options;
    for (const user of listings.superseded.dueUsers(at)) {
      try {
        await this.deleteDue(user, at);
      } catch (error) {
        // A later compaction finds what is left.
        listings.invalidate(user);
        onError(user, error);
      }
    }
  }

  /** Deletes all that is superseded, in the background. */
  release(): void {
    const { listings, signal } = this.#options;
    if (signal.aborted || listings.superseded.isEmpty) return;
    this.#releasing ??= this.deleteAllDue(Infinity).finally(() => {
      this.#releasing = undefined;
    });
  }

  /** Begins nothing more; resolves once nothing is under way. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#deleting;
    await this.#releasing;
  }

  /** Looks from time to time for objects to delete. */
  #deleteLater(): void {
    const { listings, signal, timing } = this.#options;
    if (signal.aborted || listings.superseded.isEmpty) return;
    this.#timer ??= setTimeout(
      () => {
        this.#deleting = this.deleteAllDue().then(() => {
          this.#timer = undefined;
          this.#deleteLater();
        });
      },
      Math.max(timing.debounce, timing.deleteDelay / 4),
    );
    this.#timer.unref();
  }
}

/** What is superseded, with only those runs that pass a test. */
function filter(
  superseded: readonly Superseded[],
  passes: (one: Superseded, run: Run) => boolean,
): Superseded[] {
  return superseded
    .map((one) => ({ ...one, runs: one.runs.filter((run) => passes(one, run)) }))
    .filter(({ runs }) => runs.length > 0);
}
