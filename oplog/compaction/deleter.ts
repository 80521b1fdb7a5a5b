/** Deletes superseded objects once they have stayed for long enough. */
import { setTimeout } from "node:timers";
import type { ListingCache } from "../listing-cache.ts";
import { type Fingerprint, formatName } from "../names.ts";
import type { ObjectCache } from "../object-cache.ts";
import type { Run } from "../sequence.ts";
import { holderOf, type Superseded } from "../superseded-objects.ts";
import type { Telemetry } from "../telemetry.ts";
import { forEachLimited } from "../workers.ts";
import type { Semaphore } from "./semaphore.ts";
import type { CompactionTiming } from "./timing.ts";

export interface DeleterOptions {
  readonly listings: ListingCache;
  readonly objects: ObjectCache;
  readonly semaphore: Semaphore;
  readonly timing: CompactionTiming;
  /** Once it is aborted, nothing more is deleted: a later compaction finds what is left. */
  readonly signal: AbortSignal;
  readonly onError: (user: Fingerprint, error: unknown) => void;
  /** Waited for before each piece of work, so that requests go first. */
  readonly pause: () => Promise<void>;
  readonly telemetry: Telemetry;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** How many objects are deleted at once, and between two pauses. */
const AT_ONCE = 16;
const WITHOUT_PAUSE = 128;
/** How many that others hold: they cost less, and each write waits for the disk. */
const IN_ONE_WRITE = 512;

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
    const { listings, semaphore, signal, timing, now } = this.#options;
    if (superseded.length === 0) return;
    await semaphore.runFirst(async () => {
      if (signal.aborted) return;
      const rest = await this.#deleteHeld(user, superseded);
      if (rest.length === 0) return;
      if (timing.deleteDelay === 0) return this.#deleteAll(user, rest);
      listings.superseded.add(user, rest, now() + timing.deleteDelay);
      this.#deleteLater();
    });
  }

  /** Deletes the objects of a user that have stayed for long enough. */
  async deleteDue(user: Fingerprint, at = this.#options.now()): Promise<void> {
    const { listings, semaphore, signal } = this.#options;
    if (!listings.superseded.isDue(user, at)) return;
    await semaphore.runFirst(async () => {
      if (signal.aborted) return;
      // Whatever supersedes an object has to be there still.
      await listings.fresh(user);
      await this.#deleteAll(user, listings.superseded.takeDue(user, at));
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

  /** Deletes what copies of the storage find nevertheless. Returns the rest. */
  async #deleteHeld(
    user: Fingerprint,
    superseded: readonly Superseded[],
  ): Promise<readonly Superseded[]> {
    const { listings, objects, pause, signal, telemetry } = this.#options;
    if (!objects.deletesHeld) return superseded;
    const rest: Superseded[] = [];
    for (const { client, runs, by } of superseded) {
      const nameOf = (run: Run) => formatName({ user, client, ...run });
      const deleted = new Set<Run>();
      for (const some of slicesOf(runs, IN_ONE_WRITE)) {
        await pause();
        if (signal.aborted) break;
        const held = some.flatMap((run) => {
          const holder = holderOf(run, by);
          return holder === undefined ? [] : { run, name: nameOf(run), heldBy: nameOf(holder) };
        });
        for (const { run } of await objects.deleteHeld(held)) deleted.add(run);
      }
      telemetry.count("compaction", "deleted", deleted.size);
      listings.applyCompaction(user, client, [...deleted]);
      const others = runs.filter((run) => !deleted.has(run));
      if (others.length > 0) rest.push({ client, runs: others, by });
    }
    return rest;
  }

  async #deleteAll(user: Fingerprint, superseded: readonly Superseded[]): Promise<void> {
    const { listings, objects, pause, signal, telemetry } = this.#options;
    for (const { client, runs, by } of superseded) {
      for (const some of slicesOf(runs, WITHOUT_PAUSE)) {
        await pause();
        if (signal.aborted) break;
        await forEachLimited(some, AT_ONCE, async (run) => {
          if (signal.aborted) return;
          const holder = holderOf(run, by);
          await objects.delete(
            formatName({ user, client, ...run }),
            holder && formatName({ user, client, ...holder }),
          );
          telemetry.count("compaction", "deleted");
        });
      }
      // Again, for a listing that was read while the objects were still there.
      listings.applyCompaction(user, client, runs);
    }
  }
}

function slicesOf(runs: readonly Run[], most: number): Run[][] {
  const count = Math.ceil(runs.length / most);
  return Array.from({ length: count }, (_, i) => runs.slice(i * most, (i + 1) * most));
}
