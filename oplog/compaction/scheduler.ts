import { setTimeout } from "node:timers";
import { setTimeout as sleep } from "node:timers/promises";
import { type Driver, ObjectMissing, StorageFull } from "../../storage/driver.ts";
import type { Listing } from "../listing.ts";
import type { Fingerprint } from "../names.ts";
import type { Telemetry } from "../telemetry.ts";
import { reportDebt } from "./debt.ts";
import { Deleter } from "./deleter.ts";
import { IdleLogs } from "./idle-logs.ts";
import type { Job } from "./job.ts";
import { Pacing } from "./pacing.ts";
import { Packer, type PackerOptions } from "./packer.ts";
import {
  FEWEST_OPERATIONS,
  fewestOperations,
  hasWork,
  LIMITS,
  type PackingLimits,
} from "./planner.ts";
import { RestingLogs } from "./resting-logs.ts";
import { Semaphore } from "./semaphore.ts";
import { type CompactionTiming, TIMING } from "./timing.ts";

export interface CompactionSchedulerOptions
  extends Pick<
      PackerOptions,
      "listings" | "objects" | "announcer" | "onForks" | "settle" | "telemetry"
    >,
    Partial<Pick<PackerOptions, "pause">> {
  readonly driver: Driver;
  /** The defaults where they are not set. */
  readonly limits?: Partial<PackingLimits>;
  readonly timing?: Partial<CompactionTiming>;
  /**
   * Called for a compaction that failed, or without a user where storage could not be searched for
   * idle logs. Nothing is lost by it, and it is tried again later.
   */
  readonly onError?: (user: Fingerprint | undefined, error: unknown) => void;
  /** Called with each log that was found by the scan for idle logs. */
  readonly onScanned?: (user: Fingerprint, listing: Listing) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** How many logs are packed, or have superseded objects deleted, at once. */
const AT_ONCE = 4;

/** After so many failures in a row, a log that other processes keep changing has failed for good. */
const MAX_OVERTAKEN = 5;

/** Decides when a log is compacted: in the background, one compaction of a user at a time. */
export class CompactionScheduler {
  readonly #options: CompactionSchedulerOptions;
  readonly #limits: PackingLimits;
  readonly #timing: CompactionTiming;
  readonly #telemetry: Telemetry;
  readonly #packer: Packer;
  readonly #deleter: Deleter;
  readonly #idleLogs: IdleLogs;
  readonly #jobs = new Map<Fingerprint, Job>();
  readonly #pacing: Pacing;
  readonly #resting: RestingLogs;
  readonly #semaphore = new Semaphore(AT_ONCE);
  readonly #stop = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: CompactionSchedulerOptions) {
    const { telemetry, pause: untilIdle = async () => undefined } = options;
    const limits = { ...LIMITS, ...options.limits };
    const timing = { ...TIMING, ...options.timing };
    this.#options = options;
    this.#limits = limits;
    this.#timing = timing;
    this.#telemetry = telemetry;
    this.#resting = new RestingLogs({ backoff: timing.backoff, now: options.now });
    reportDebt(telemetry, this.#jobs, this.#resting, options.listings.superseded);
    const { signal } = this.#stop;
    this.#pacing = new Pacing(untilIdle);
    const pause = () => this.#pacing.pause();
    this.#packer = new Packer({ ...options, limits, pause, telemetry, signal });
    this.#deleter = new Deleter({
      ...options,
      semaphore: this.#semaphore,
      timing,
      signal,
      pause,
      onError: (user, error) => this.#failed(user, error),
    });
    this.#idleLogs = new IdleLogs({
      ...options,
      timing,
      pause,
      isWorthPacking: (listing) => hasWork(listing, limits, FEWEST_OPERATIONS),
      onIdle: (user) => this.#packIdle(user),
      onError: (error) => this.#failed(undefined, error),
    });
  }

  /** To be called when a log has grown. */
  appended(user: Fingerprint): void {
    this.#idleLogs.touch(user);
    this.#idleLogs.start();
    const job = this.#jobs.get(user);
    if (job === undefined) {
      this.#wait(user);
    } else {
      job.idle = false;
      this.#grow(job);
    }
  }

  /** To be called with a listing from storage: another process may have left work in the log. */
  loaded(user: Fingerprint, listing: Listing): void {
    this.#idleLogs.start();
    if (this.#jobs.has(user) || this.#resting.has(user)) return;
    const fewest = fewestOperations(listing, this.#limits);
    if (hasWork(listing, this.#limits, fewest)) this.#wait(user);
  }

  /** To be called when storage asks for the small objects of logs to be packed. */
  crowded(users: readonly Fingerprint[]): void {
    for (const user of users) {
      if (!this.#jobs.has(user)) this.#wait(user);
      const job = this.#jobs.get(user);
      if (job === undefined) return;
      job.crowded = true;
      this.#pacing.crowded(user);
      this.#grow(job);
    }
  }

  /**
   * To be called when there was no room for an object of a user: what can be packed of the log is, and
   * what is superseded stays no longer. A copy of the storage that is being made may miss it, but all
   * appends fail until there is room.
   */
  full(user: Fingerprint): void {
    this.#deleter.release();
    this.#packIdle(user);
  }

  /** Resolves once there is nothing to compact. */
  async settled(): Promise<void> {
    while (this.#jobs.size > 0) {
      await this.#running();
      if (this.#jobs.size > 0) await sleep(this.#timing.debounce + 1);
    }
  }

  /** Does what is due by now, which timers have done otherwise; resolves once that is done. */
  async runDue(): Promise<void> {
    this.#tick();
    await this.#running();
    await this.#deleter.deleteAllDue();
  }

  /** Begins nothing more; resolves once what is running has come to a point where it can stop. */
  async stop(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#timer);
    await this.#idleLogs.stop();
    for (const [user, { state }] of this.#jobs) if (state === "waiting") this.#end(user);
    await this.#running();
    await this.#deleter.stop();
  }

  /**
   * Packs what is worth it now, and deletes what that supersedes. Returns whether something was
   * packed. Throws why a part of it could not be packed, when all the rest is done.
   *
   * @param idle whether whatever can be packed is worth it
   */
  async compact(user: Fingerprint, idle = false): Promise<boolean> {
    try {
      return await this.#compact(user, idle);
    } catch (error) {
      // A put or a delete may have happened nevertheless.
      this.#options.listings.invalidate(user);
      throw error;
    }
  }

  async #compact(user: Fingerprint, idle: boolean): Promise<boolean> {
    const { signal } = this.#stop;
    await this.#deleter.deleteDue(user);
    const packed = await this.#semaphore.run(async () =>
      signal.aborted ? undefined : this.#packer.pack(user, idle),
    );
    if (packed === undefined) return false;
    const { superseded, errors, fromReserve } = packed;
    await this.#deleter.delete(user, superseded);
    if (fromReserve || errors.some((error) => error instanceof StorageFull)) {
      await this.#deleter.deleteAllDue(Infinity);
    }
    // Now that there is room, what failed is tried again at once.
    if (errors.length > 0 && !fromReserve) throw errors[0];
    return superseded.length > 0;
  }

  /** Packs whatever can be packed. */
  #packIdle(user: Fingerprint): void {
    const job = this.#jobs.get(user);
    if (job === undefined) {
      this.#wait(user, true);
    } else {
      job.idle = true;
      this.#grow(job);
    }
  }

  #wait(user: Fingerprint, idle = false): void {
    if (this.#stop.signal.aborted) return;
    const now = this.#options.now();
    const failures = this.#resting.failuresOf(user);
    const times = { since: now, lastAppend: now };
    const flags = { idle, crowded: false, grown: false };
    this.#jobs.set(user, { state: "waiting", ...times, ...flags, failures });
    this.#tickLater();
  }

  #grow(job: Job): void {
    job.lastAppend = this.#options.now();
    if (job.state === "waiting" || job.grown) return;
    job.grown = true;
    job.since = job.lastAppend;
  }

  #rest(user: Fingerprint, failures: number): void {
    this.#resting.add(user, failures);
    if (failures > 0) this.#idleLogs.touch(user);
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
      const isEarly = now - job.lastAppend < debounce && now - job.since < maxDelay;
      if (isEarly && !job.crowded) waiting = true;
      else if (this.#resting.hasFailed(user)) this.#end(user);
      else job.ended = this.#run(user, job);
    }
    if (waiting) this.#tickLater();
  }

  async #run(user: Fingerprint, job: Job): Promise<void> {
    job.state = "running";
    job.grown = false;
    const { idle, crowded } = job;
    job.crowded = false;
    try {
      const packed = await this.compact(user, idle || crowded);
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
        this.#failed(user, error);
      }
    }
    if (job.grown && !this.#stop.signal.aborted) {
      job.state = "waiting";
      if (!job.crowded) this.#pacing.relieved(user);
      this.#tickLater();
    } else {
      this.#end(user);
    }
  }

  #end(user: Fingerprint): void {
    this.#jobs.delete(user);
    this.#pacing.relieved(user);
  }

  #failed(user: Fingerprint | undefined, error: unknown): void {
    this.#telemetry.count("compaction", "failed");
    this.#options.onError?.(user, error);
  }

  async #running(): Promise<void> {
    await Promise.all(Array.from(this.#jobs.values(), ({ ended }) => ended));
  }
}
