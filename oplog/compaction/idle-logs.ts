/** Finds the logs that nothing is appended to any more. */
import { setTimeout } from "node:timers";
import type { Driver } from "../../storage/driver.ts";
import { Listing } from "../listing.ts";
import type { Fingerprint } from "../names.ts";
import type { Telemetry } from "../telemetry.ts";
import { byUser, PARTS } from "../users.ts";
import { StoredCount } from "./stored-count.ts";
import type { CompactionTiming } from "./timing.ts";

export interface IdleLogsOptions {
  readonly driver: Driver;
  readonly timing: Pick<CompactionTiming, "idle" | "scanStep">;
  /** Whether there is something to pack in a log that the scan has come by. */
  readonly isWorthPacking: (listing: Listing) => boolean;
  readonly onIdle: (user: Fingerprint) => void;
  /** Called with each log that the scan has come by and that is not in use. */
  readonly onScanned?: ((user: Fingerprint, listing: Listing) => void) | undefined;
  /** Called when the scan could not list a part of the storage. It tries again. */
  readonly onError: (error: unknown) => void;
  /** Waited for before each log of the scan, so that requests go first. */
  readonly pause: () => Promise<void>;
  /** Learns what is stored of all users, once the scan has ended. */
  readonly telemetry: Telemetry;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** Whose appends are remembered. Of more users, the one idle for longest counts as idle early. */
const REMEMBERED = 100_000;

/** How many lists the scan takes at least. */
export const SCAN_LISTS: number = PARTS.length;

/**
 * A log is idle once nothing was appended to it for a day. A process remembers who appends to it.
 * What was appended before its start it finds by a scan of the storage, once, in about an hour: the
 * logs that nothing was appended to between the start and then.
 */
export class IdleLogs {
  readonly #options: IdleLogsOptions;
  /** When each user has last appended, in that order. */
  readonly #appends = new Map<Fingerprint, number>();
  readonly #stored = new StoredCount();
  #scanned = 0;
  #started = false;
  #stopped = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #check: Promise<void> = Promise.resolve();

  constructor(options: IdleLogsOptions) {
    this.#options = options;
  }

  /** Begins to look for idle logs, unless that was done before. */
  start(): void {
    if (this.#started || this.#stopped) return;
    this.#started = true;
    this.#checkLater();
  }

  /** To be called when a log is in use: it is idle a day later. */
  touch(user: Fingerprint): void {
    this.#appends.delete(user);
    this.#appends.set(user, this.#options.now());
    if (this.#appends.size <= REMEMBERED) return;
    const [first] = this.#appends.keys();
    if (first !== undefined) this.#take(first);
  }

  /** Looks no more; resolves once nothing is under way. */
  async stop(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#timer);
    await this.#check;
  }

  #take(user: Fingerprint): void {
    this.#appends.delete(user);
    this.#options.onIdle(user);
  }

  #checkLater(): void {
    this.#timer = setTimeout(() => {
      this.#takeIdle();
      this.#check = this.#scan().then(() => {
        if (!this.#stopped) this.#checkLater();
      });
    }, this.#options.timing.scanStep);
    // To look for idle logs does not keep the process running.
    this.#timer.unref();
  }

  #takeIdle(): void {
    const { now, timing } = this.#options;
    const until = now() - timing.idle;
    for (const [user, at] of this.#appends) {
      if (at > until) return;
      this.#take(user);
    }
  }

  /** Takes the next step of the scan, until it has come to its end. */
  async #scan(): Promise<void> {
    const { driver, isWorthPacking, onIdle, onScanned, onError, pause, telemetry } = this.#options;
    const prefix = PARTS[this.#scanned];
    if (prefix === undefined) return;
    try {
      const users = await byUser(await driver.list(prefix));
      for (const [user, own] of users) {
        await pause();
        if (this.#stopped) return;
        if (this.#appends.has(user)) continue;
        const listing = await Listing.inSlices(own);
        if (this.#appends.has(user)) continue;
        if (isWorthPacking(listing)) onIdle(user);
        onScanned?.(user, listing);
      }
      this.#stored.add(users);
      this.#scanned++;
      if (this.#scanned === SCAN_LISTS) this.#stored.report(telemetry);
    } catch (error) {
      onError(error);
    }
  }
}
