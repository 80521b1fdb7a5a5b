import { setTimeout } from "node:timers";
import { setTimeout as sleep } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { ObjectMissing } from "../../storage/driver.ts";
import type { Listing } from "../listing.ts";
import type { Fingerprint } from "../names.ts";
import { NO_TELEMETRY, type Telemetry } from "../telemetry.ts";
import { type Packed, Packer, type PackerOptions } from "./packer.ts";
import { type PackingLimits, planSegments } from "./planner.ts";

export interface CompactionSchedulerOptions
  extends Pick<PackerOptions, "listings" | "objects" | "onForks">,
    Partial<Pick<PackerOptions, "limits" | "pause" | "telemetry">> {
  readonly timing?: CompactionTiming;
  /** Called when something was packed or may have been, however that ended: its user may be erased by now. */
  readonly settle?: (user: Fingerprint) => Promise<unknown>;
  /** Told of a compaction that failed. Nothing is lost by it, and it is tried again later. */
  readonly onError?: (user: Fingerprint, error: unknown) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** In milliseconds. */
export interface CompactionTiming {
  /** A log is packed once nothing was appended to it for this long … */
  readonly debounce: number;
  /** … or this long after it was first worth looking at. */
  readonly maxDelay: number;
  /**
   * What was packed is deleted this long after the segment was stored. A list that another process
   * began before then has ended by now, so it does not miss both.
   */
  readonly deleteDelay: number;
  /** A log that could not be packed, or only seemed worth it, is left alone for so long. */
  readonly backoff: number;
}

/** When the objects of a client are packed, unless told otherwise. */
export const LIMITS: PackingLimits = { operations: 256, bytes: 1024 * 1024 };
const TIMING: CompactionTiming = {
  debounce: 1_000,
  maxDelay: 30_000,
  deleteDelay: 5_000,
  backoff: 60_000,
};

/** Compactions at work at once, over all users. */
const AT_ONCE = 2;

/** How often in a row a log may turn out to be packed by another process. */
const MAX_OVERTAKEN = 5;

/** How many users are remembered as not to be looked at for a while. */
const RESTING_USERS = 10_000;

/** A log that may be worth packing: since when, and when it was last appended to. */
interface Due {
  readonly since: number;
  at: number;
}

/** Decides when a log is packed: in the background, and one compaction a user at a time. */
export class CompactionScheduler {
  readonly #options: CompactionSchedulerOptions;
  readonly #limits: PackingLimits;
  readonly #timing: CompactionTiming;
  readonly #packer: Packer;
  readonly #telemetry: Telemetry;
  readonly #due = new Map<Fingerprint, Due>();
  /** Users whose time has come. */
  readonly #queue: Fingerprint[] = [];
  readonly #running = new Map<Fingerprint, Promise<void>>();
  readonly #resting: LRUCache<Fingerprint, number>;
  /** Users whose log looks as if there were something to pack, and has nothing (forks). */
  readonly #inVain: LRUCache<Fingerprint, number>;
  readonly #overtaken: LRUCache<Fingerprint, number>;
  readonly #stop = new AbortController();
  readonly #places: (() => void)[] = [];
  #working = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: CompactionSchedulerOptions) {
    const { limits = LIMITS, timing = TIMING, telemetry = NO_TELEMETRY } = options;
    const { pause = async () => undefined } = options;
    this.#options = options;
    this.#limits = limits;
    this.#timing = timing;
    this.#telemetry = telemetry;
    const { signal } = this.#stop;
    this.#packer = new Packer({ ...options, limits, pause, telemetry, signal });
    this.#resting = new LRUCache({ max: RESTING_USERS });
    this.#inVain = new LRUCache({ max: RESTING_USERS });
    this.#overtaken = new LRUCache({ max: RESTING_USERS });
  }

  /** Takes note of a log that has grown. */
  appended(user: Fingerprint): void {
    const due = this.#due.get(user);
    if (due === undefined) this.#isDue(user);
    else due.at = this.#options.now();
  }

  /** Takes note of a listing read from storage: there may be work that another process has left. */
  loaded(user: Fingerprint, listing: Listing): void {
    if (this.#due.has(user) || this.#isIn(this.#resting, user)) return;
    if (this.#isIn(this.#inVain, user)) return;
    for (const sequence of listing.clients.values()) {
      if (sequence.overlaps().length > 0 || planSegments(sequence, this.#limits).length > 0) {
        this.#isDue(user);
        return;
      }
    }
  }

  /** Resolves once there is nothing to pack and nothing being packed. */
  async settled(): Promise<void> {
    while (this.#due.size + this.#queue.length + this.#running.size > 0) {
      await Promise.all(this.#running.values());
      if (this.#due.size + this.#queue.length > 0) await sleep(this.#timing.debounce + 1);
    }
  }

  /** Begins nothing more, and resolves once what is under way has come to a point to stop at. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#due.clear();
    this.#queue.length = 0;
    clearTimeout(this.#timer);
    await Promise.all(this.#running.values());
  }

  /**
   * Packs what is worth it now, and deletes what was packed. Returns whether something was packed.
   * Throws what kept a part of it from being packed, when all the rest is done.
   */
  async compact(user: Fingerprint): Promise<boolean> {
    const { gone, errors } = await this.#inPlace(() => this.#packAndSettle(user));
    if (gone.length > 0 && (await this.#graceIsOver())) {
      await this.#inPlace(() => this.#packer.delete(user, gone));
    }
    if (errors.length > 0) throw errors[0];
    return gone.length > 0;
  }

  async #packAndSettle(user: Fingerprint): Promise<Packed> {
    let stored = true;
    try {
      const packed = await this.#packer.pack(user);
      // A put that failed may have stored its segment all the same.
      stored = packed.gone.length + packed.errors.length > 0;
      return packed;
    } finally {
      if (stored) await this.#options.settle?.(user);
    }
  }

  #isDue(user: Fingerprint): void {
    if (this.#stop.signal.aborted) return;
    const at = this.#options.now();
    this.#due.set(user, { since: at, at });
    this.#tickLater();
  }

  #isIn(users: LRUCache<Fingerprint, number>, user: Fingerprint): boolean {
    return (users.get(user) ?? 0) > this.#options.now();
  }

  #tickLater(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#tick();
    }, this.#timing.debounce);
    // Not a reason to keep the process.
    this.#timer.unref();
  }

  /** Queues the logs that have been quiet for long enough, or have waited for too long. */
  #tick(): void {
    const now = this.#options.now();
    const { debounce, maxDelay } = this.#timing;
    for (const [user, { since, at }] of this.#due) {
      if (this.#running.has(user) || (now - at < debounce && now - since < maxDelay)) continue;
      this.#due.delete(user);
      if (!this.#isIn(this.#resting, user)) this.#queue.push(user);
    }
    this.#work();
    if (this.#due.size > 0) this.#tickLater();
  }

  /** Begins with what is queued, as far as there are places. */
  #work(): void {
    while (this.#working < AT_ONCE) {
      const user = this.#queue.shift();
      if (user === undefined) return;
      const run = this.#run(user).finally(() => this.#running.delete(user));
      this.#running.set(user, run);
    }
  }

  async #run(user: Fingerprint): Promise<void> {
    const { now } = this.#options;
    try {
      const packed = await this.compact(user);
      // One that packed something is looked at again: small segments may fill a large one by now.
      if (packed) this.appended(user);
      else this.#inVain.set(user, now() + this.#timing.backoff);
      this.#overtaken.delete(user);
    } catch (error) {
      this.#options.listings.invalidate(user);
      const overtaken = (this.#overtaken.get(user) ?? 0) + 1;
      this.#overtaken.set(user, overtaken);
      // Another process has packed it first: look again. Anything else may need a person.
      if (error instanceof ObjectMissing && overtaken < MAX_OVERTAKEN) return this.appended(user);
      this.#telemetry.count("compaction", "failed");
      this.#resting.set(user, now() + this.#timing.backoff);
      this.#options.onError?.(user, error);
    }
  }

  /** Does a piece of work as one of the few that may be under way at once. */
  async #inPlace<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#working < AT_ONCE) this.#working++;
    else await new Promise<void>((resolve) => this.#places.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#places.shift();
      if (next === undefined) {
        this.#working--;
        this.#work();
      } else next();
    }
  }

  /** False when the compactor was stopped meanwhile: what is left is for a later compaction. */
  async #graceIsOver(): Promise<boolean> {
    const { signal } = this.#stop;
    if (this.#timing.deleteDelay === 0) return !signal.aborted;
    await sleep(this.#timing.deleteDelay, undefined, { signal, ref: false }).catch(
      (error: unknown) => {
        if (!signal.aborted) throw error;
      },
    );
    return !signal.aborted;
  }
}
