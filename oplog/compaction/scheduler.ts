import { setTimeout } from "node:timers";
import { setTimeout as sleep } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { ObjectMissing, StorageFull } from "../../storage/driver.ts";
import type { Listing } from "../listing.ts";
import type { Fingerprint } from "../names.ts";
import type { Telemetry } from "../telemetry.ts";
import { Packer, type PackerOptions } from "./packer.ts";
import { LIMITS, type PackingLimits, planSegments } from "./planner.ts";
import { Semaphore } from "./semaphore.ts";
import { type CompactionTiming, TIMING } from "./timing.ts";

export interface CompactionSchedulerOptions
  extends Pick<PackerOptions, "listings" | "objects" | "onForks" | "settle" | "telemetry">,
    Partial<Pick<PackerOptions, "limits" | "pause">> {
  readonly timing?: CompactionTiming;
  /** Called for a compaction that failed. Nothing is lost by it, and it is tried again later. */
  readonly onError?: (user: Fingerprint, error: unknown) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** How many logs are packed, or have superseded objects deleted, at once. */
const AT_ONCE = 2;

/** After so many failures in a row, a log that other processes keep changing has failed for good. */
const MAX_OVERTAKEN = 5;

/** How many users are remembered as resting. */
const RESTING_USERS = 10_000;

/**
 * A log that may be worth compacting. It waits until its appends pause, and then runs. If it has
 * grown meanwhile, it waits again; otherwise its job is done.
 */
interface Job {
  state: "waiting" | "running";
  /** Waiting, or running and grown: since when there may be work, and the last append. */
  since: number;
  lastAppend: number;
  /** Running: the log is to be looked at again. */
  grown: boolean;
  /** How often in a row it has failed. */
  failures: number;
  /** Resolves when the last run ends. */
  ended?: Promise<void>;
}

/** A log that is left alone for a while. */
interface Rest {
  readonly until: number;
  /** How often in a row it has failed. 0: it seemed worth compacting, and is not (forks). */
  readonly failures: number;
}

/** Decides when a log is compacted: in the background, one compaction of a user at a time. */
export class CompactionScheduler {
  readonly #options: CompactionSchedulerOptions;
  readonly #limits: PackingLimits;
  readonly #timing: CompactionTiming;
  readonly #telemetry: Telemetry;
  readonly #packer: Packer;
  readonly #jobs = new Map<Fingerprint, Job>();
  readonly #resting = new LRUCache<Fingerprint, Rest>({ max: RESTING_USERS });
  readonly #semaphore = new Semaphore(AT_ONCE);
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #deleteTimer: ReturnType<typeof setTimeout> | undefined;
  #deleting: Promise<void> = Promise.resolve();
  #releasing: Promise<void> | undefined;

  constructor(options: CompactionSchedulerOptions) {
    const { limits = LIMITS, timing = TIMING, telemetry } = options;
    const { pause = async () => undefined } = options;
    this.#options = options;
    this.#limits = limits;
    this.#timing = timing;
    this.#telemetry = telemetry;
    const { signal } = this.#stop;
    this.#packer = new Packer({ ...options, limits, pause, telemetry, signal });
  }

  /** To be called when a log has grown. */
  appended(user: Fingerprint): void {
    const job = this.#jobs.get(user);
    if (job === undefined) this.#wait(user);
    else this.#grow(job);
  }

  /** To be called with a listing from storage: another process may have left work in the log. */
  loaded(user: Fingerprint, listing: Listing): void {
    if (this.#jobs.has(user) || this.#restOf(user) !== undefined) return;
    for (const sequence of listing.clients.values()) {
      if (sequence.overlaps().length > 0 || planSegments(sequence, this.#limits).length > 0) {
        this.#wait(user);
        return;
      }
    }
  }

  /**
   * To be called when there was no room for an object: what is superseded stays no longer. A copy of
   * the storage that is being made may miss it, but all appends fail until there is room.
   */
  full(): void {
    const { superseded } = this.#options.listings;
    if (this.#stop.signal.aborted || superseded.isEmpty) return;
    this.#releasing ??= this.#deleteAllDue(Infinity).finally(() => {
      this.#releasing = undefined;
    });
  }

  /** Resolves once there is nothing to compact. */
  async settled(): Promise<void> {
    while (this.#jobs.size > 0) {
      await this.#running();
      if (this.#jobs.size > 0) await sleep(this.#timing.debounce + 1);
    }
  }

  /** Begins nothing more; resolves once what is running has come to a point where it can stop. */
  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    clearTimeout(this.#deleteTimer);
    for (const [user, { state }] of this.#jobs) if (state === "waiting") this.#jobs.delete(user);
    await this.#running();
    await this.#deleting;
    await this.#releasing;
  }

  /**
   * Packs what is worth it now, and deletes what that supersedes. Returns whether something was
   * packed. Throws why a part of it could not be packed, when all the rest is done.
   */
  async compact(user: Fingerprint): Promise<boolean> {
    try {
      return await this.#compact(user);
    } catch (error) {
      // A put or a delete may have happened nevertheless.
      this.#options.listings.invalidate(user);
      throw error;
    }
  }

  async #compact(user: Fingerprint): Promise<boolean> {
    const { signal } = this.#stop;
    const { listings, now } = this.#options;
    await this.#deleteDue(user);
    const packed = await this.#semaphore.run(async () =>
      signal.aborted ? undefined : this.#packer.pack(user),
    );
    if (packed === undefined) return false;
    const { superseded, errors, fromReserve } = packed;
    const { deleteDelay } = this.#timing;
    if (deleteDelay > 0) {
      listings.superseded.add(user, superseded, now() + deleteDelay);
      this.#deleteLater();
    } else if (superseded.length > 0 && !signal.aborted) {
      await this.#semaphore.runFirst(() => this.#packer.delete(user, superseded));
    }
    if (fromReserve || errors.some((error) => error instanceof StorageFull)) {
      await this.#deleteAllDue(Infinity);
    }
    // Now that there is room, what failed is tried again at once.
    if (errors.length > 0 && !fromReserve) throw errors[0];
    return superseded.length > 0;
  }

  /** Deletes the superseded objects of a user that have stayed for long enough. */
  async #deleteDue(user: Fingerprint, at = this.#options.now()): Promise<void> {
    const { listings } = this.#options;
    if (!listings.superseded.isDue(user, at)) return;
    await this.#semaphore.runFirst(async () => {
      // Once stopped, deletes nothing: a later compaction finds what is left.
      if (this.#stop.signal.aborted) return;
      // Whatever supersedes an object has to be there still.
      await listings.fresh(user);
      await this.#packer.delete(user, listings.superseded.takeDue(user, at));
    });
  }

  /** Looks from time to time for superseded objects to delete. */
  #deleteLater(): void {
    const { debounce, deleteDelay } = this.#timing;
    if (this.#stop.signal.aborted || this.#options.listings.superseded.isEmpty) return;
    this.#deleteTimer ??= setTimeout(
      () => {
        this.#deleting = this.#deleteAllDue().then(() => {
          this.#deleteTimer = undefined;
          this.#deleteLater();
        });
      },
      Math.max(debounce, deleteDelay / 4),
    );
    this.#deleteTimer.unref();
  }

  /** @param at the time by which it is due; all of it is where there is no room for anything else */
  async #deleteAllDue(at = this.#options.now()): Promise<void> {
    const { listings, onError } = this.#options;
    for (const user of listings.superseded.dueUsers(at)) {
      try {
        await this.#deleteDue(user, at);
      } catch (error) {
        // A later compaction finds what is left.
        listings.invalidate(user);
        this.#telemetry.count("compaction", "failed");
        onError?.(user, error);
      }
    }
  }

  #wait(user: Fingerprint): void {
    if (this.#stop.signal.aborted) return;
    const now = this.#options.now();
    const failures = this.#resting.get(user)?.failures ?? 0;
    const job: Job = { state: "waiting", since: now, lastAppend: now, grown: false, failures };
    this.#jobs.set(user, job);
    this.#tickLater();
  }

  #grow(job: Job): void {
    job.lastAppend = this.#options.now();
    if (job.state === "waiting" || job.grown) return;
    job.grown = true;
    job.since = job.lastAppend;
  }

  #restOf(user: Fingerprint): Rest | undefined {
    const rest = this.#resting.get(user);
    return rest !== undefined && rest.until > this.#options.now() ? rest : undefined;
  }

  #rest(user: Fingerprint, failures: number): void {
    this.#resting.set(user, { until: this.#options.now() + this.#timing.backoff, failures });
  }

  #tickLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#tick();
    }, this.#timing.debounce);
    // Compaction does not keep the process running.
    this.#timer.unref();
  }

  /** Runs the jobs whose log has not grown for long enough, or that have waited for too long. */
  #tick(): void {
    const now = this.#options.now();
    const { debounce, maxDelay } = this.#timing;
    let waiting = false;
    for (const [user, job] of this.#jobs) {
      if (job.state === "running") continue;
      if (now - job.lastAppend < debounce && now - job.since < maxDelay) waiting = true;
      else if ((this.#restOf(user)?.failures ?? 0) > 0) this.#jobs.delete(user);
      else job.ended = this.#run(user, job);
    }
    if (waiting) this.#tickLater();
  }

  async #run(user: Fingerprint, job: Job): Promise<void> {
    job.state = "running";
    job.grown = false;
    try {
      const packed = await this.compact(user);
      job.failures = 0;
      if (packed) {
        // Small segments may fill a large one by now.
        this.#grow(job);
        this.#resting.delete(user);
      } else {
        this.#rest(user, 0);
      }
    } catch (error) {
      job.failures++;
      if (error instanceof ObjectMissing && job.failures < MAX_OVERTAKEN) {
        // Another process has packed the object first.
        this.#grow(job);
      } else {
        this.#rest(user, job.failures);
        this.#telemetry.count("compaction", "failed");
        this.#options.onError?.(user, error);
      }
    }
    if (job.grown && !this.#stop.signal.aborted) {
      job.state = "waiting";
      this.#tickLater();
    } else {
      this.#jobs.delete(user);
    }
  }

  async #running(): Promise<void> {
    await Promise.all(Array.from(this.#jobs.values(), ({ ended }) => ended));
  }
}
