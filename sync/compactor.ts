import { setTimeout } from "node:timers";
import { setTimeout as sleep } from "node:timers/promises";
import { LRUCache } from "lru-cache";
import { ObjectMissing } from "../storage/driver.ts";
import type { Listing } from "../storage/listing.ts";
import type { Listings } from "../storage/listings.ts";
import type { Fingerprint } from "../storage/names.ts";
import { md5Of, type Objects } from "../storage/objects.ts";
import type { Overlap, Run, Sequence } from "../storage/sequence.ts";
import { type PackingLimits, packsOf } from "./packing.ts";
import { type Entry, entryOf, type Parts } from "./parts.ts";
import { readAhead } from "./read-ahead.ts";
import { Segment } from "./segment.ts";

export interface CompactorOptions {
  readonly listings: Listings;
  readonly objects: Objects;
  readonly parts: Parts;
  /** Waited for before each piece of work: requests go first. */
  readonly pause?: () => Promise<void>;
  /** Told of a compaction that failed. Nothing is lost by it, and it is tried again later. */
  readonly onError?: (user: Fingerprint, error: unknown) => void;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  readonly limits?: PackingLimits;
  readonly timing?: CompactionTiming;
}

/** In milliseconds. */
export interface CompactionTiming {
  /** A log is packed once nothing was appended to it for this long … */
  readonly quiet: number;
  /** … or this long after it was first worth looking at. */
  readonly latest: number;
  /**
   * What was packed is deleted this long after the segment was stored. A list that another process
   * began before then has ended by now, so it does not miss both.
   */
  readonly grace: number;
  /** A log that could not be packed, or had nothing to pack, is not looked at again for so long. */
  readonly rest: number;
}

const LIMITS: PackingLimits = { operations: 256, bytes: 1024 * 1024 };
const TIMING: CompactionTiming = { quiet: 1_000, latest: 30_000, grace: 5_000, rest: 60_000 };

/** Compactions at work at once, over all users. */
const AT_ONCE = 2;

/** Objects read or deleted at once in a compaction, and the bytes that reads may come to. */
const READ_AHEAD = { maxItems: 16, maxBytes: 2 * 1024 * 1024 };

/** How many users are remembered as not to be looked at for a while. */
const RESTING_USERS = 10_000;

/** A run that is packed, or was a leftover. */
interface Gone {
  readonly client: string;
  readonly runs: readonly Run[];
}

/**
 * Packs small objects into segments, in the background and one compaction a user at a time.
 *
 * Safe at every point: what is packed is read and checked, the segment is stored durably, and only
 * then are the others deleted. Until that, and for ever where it ends halfway, readers meet both
 * and take each operation once (`sync/parts.ts`). An object is deleted only if each of its payloads
 * is held by an object that reaches further, or as far and begins earlier. That order has no
 * cycles, so two processes that compact one log never delete each other's last copy.
 */
export class Compactor {
  /** What has been done so far; read by the metrics. */
  readonly counts = { segments: 0, packed: 0, deleted: 0, failed: 0 };
  readonly #options: CompactorOptions;
  readonly #limits: PackingLimits;
  readonly #timing: CompactionTiming;
  /** Users whose log may be worth packing: when that began, and when it was last appended to. */
  readonly #due = new Map<Fingerprint, { readonly since: number; at: number }>();
  readonly #running = new Map<Fingerprint, Promise<void>>();
  readonly #resting: LRUCache<Fingerprint, number>;
  readonly #stop = new AbortController();
  #working = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(options: CompactorOptions) {
    this.#options = options;
    this.#limits = options.limits ?? LIMITS;
    this.#timing = options.timing ?? TIMING;
    this.#resting = new LRUCache({ max: RESTING_USERS });
  }

  /** Takes note of a log that has grown. */
  appended(user: Fingerprint): void {
    if (this.#stop.signal.aborted) return;
    const at = this.#options.now();
    const due = this.#due.get(user);
    if (due === undefined) this.#due.set(user, { since: at, at });
    else due.at = at;
    this.#wakeIn(this.#timing.quiet);
  }

  /** Takes note of a listing read from storage: there may be work that another process has left. */
  loaded(user: Fingerprint, listing: Listing): void {
    if ((this.#resting.get(user) ?? 0) > this.#options.now()) return;
    for (const sequence of listing.clients.values()) {
      if (sequence.overlaps().length > 0 || packsOf(sequence, this.#limits).length > 0) {
        this.appended(user);
        return;
      }
    }
  }

  /** Resolves once there is nothing to pack and nothing being packed. */
  async settled(): Promise<void> {
    while (this.#due.size + this.#running.size > 0) {
      await Promise.all(this.#running.values());
      if (this.#due.size > 0) await sleep(this.#timing.quiet + 1);
    }
  }

  /** Begins nothing more, and resolves once what is under way has come to a point to stop at. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#due.clear();
    clearTimeout(this.#timer);
    await Promise.all(this.#running.values());
  }

  /** Packs what is worth it now. Returns whether there was anything. Throws what storage throws. */
  async compact(user: Fingerprint): Promise<boolean> {
    const gone = await this.#work(() => this.#packAll(user));
    if (gone.length === 0) return false;
    if (!(await this.#graceOver())) return true;
    await this.#work(() => this.#delete(user, gone));
    return true;
  }

  #wakeIn(milliseconds: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      this.#wake();
    }, milliseconds);
    // Not a reason to keep the process.
    this.#timer.unref();
  }

  /** Begins with the logs that are due. */
  #wake(): void {
    const now = this.#options.now();
    const { quiet, latest } = this.#timing;
    for (const [user, { since, at }] of this.#due) {
      if (this.#working >= AT_ONCE) break;
      if (this.#running.has(user) || (now - at < quiet && now - since < latest)) continue;
      this.#due.delete(user);
      const run = this.#run(user).finally(() => {
        this.#running.delete(user);
        this.#wakeIn(0);
      });
      this.#running.set(user, run);
    }
    if (this.#due.size > 0) this.#wakeIn(quiet);
  }

  async #run(user: Fingerprint): Promise<void> {
    try {
      const { now } = this.#options;
      // One that packed something is looked at again: small segments may fill a large one by now.
      if (await this.compact(user)) this.appended(user);
      else this.#resting.set(user, now() + this.#timing.rest);
    } catch (error) {
      this.#options.listings.forget(user);
      // Another process has packed it first: look again. Anything else may need a person.
      if (error instanceof ObjectMissing) return this.appended(user);
      this.counts.failed++;
      this.#resting.set(user, this.#options.now() + this.#timing.rest);
      this.#options.onError?.(user, error);
    }
  }

  async #work<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#working++;
    try {
      return await work();
    } finally {
      this.#working--;
    }
  }

  /** False when the compactor was stopped meanwhile: what is left is for a later compaction. */
  async #graceOver(): Promise<boolean> {
    const { signal } = this.#stop;
    if (this.#timing.grace === 0) return !signal.aborted;
    await sleep(this.#timing.grace, undefined, { signal, ref: false }).catch((error: unknown) => {
      if (!signal.aborted) throw error;
    });
    return !signal.aborted;
  }

  /** Stores all segments that are worth it; returns what can be deleted now. */
  async #packAll(user: Fingerprint): Promise<Gone[]> {
    const { listings, pause } = this.#options;
    const listing = await listings.peek(user);
    const gone: Gone[] = [];
    for (const [client, sequence] of listing.clients) {
      for (const overlap of sequence.overlaps()) {
        gone.push({ client, runs: await this.#tidy(user, client, sequence, overlap) });
      }
      for (const runs of packsOf(sequence, this.#limits)) {
        await pause?.();
        if (this.#stop.signal.aborted) break;
        const entries = runs.map((run) => entryOf(run.first, run.last, [run]));
        await this.#pack(user, client, entries, runs);
        gone.push({ client, runs });
      }
    }
    return gone.filter(({ runs }) => runs.length > 0);
  }

  /**
   * Sorts out runs that overlap; returns those that can be deleted. Where an index is forked, all
   * runs that hold a payload which no other holds stay as they are.
   */
  async #tidy(
    user: Fingerprint,
    client: string,
    sequence: Sequence,
    overlap: Overlap,
  ): Promise<readonly Run[]> {
    const { parts } = this.#options;
    await parts.sort(user, client, [overlap]);
    const entries = parts.sorted(overlap);
    const needed = new Set(entries.flatMap((entry) => entry.parts.map(({ run }) => run)));
    const forked = entries.some((entry) => entry.parts.length > 1);
    const atEnd = sequence.runs.at(-1)?.last === overlap.last;
    if (!forked && !atEnd && needed.size > 1) {
      // Two processes have packed some operations each into a segment of its own.
      await this.#pack(user, client, entries, overlap.runs);
      return overlap.runs;
    }
    return overlap.runs.filter((run) => !needed.has(run));
  }

  /** Stores a segment made of entries, and puts it in the place of runs in the cached listing. */
  async #pack(
    user: Fingerprint,
    client: string,
    entries: readonly Entry[],
    runs: readonly Run[],
  ): Promise<void> {
    const { listings, objects, parts } = this.#options;
    const lines: Uint8Array[] = [];
    const reads = readAhead(entries.values(), {
      read: (entry) => Promise.all(entry.parts.map((part) => parts.lines(user, client, part))),
      bytes: (entry) => entry.parts.reduce((sum, { run }) => sum + run.size, 0),
      ...READ_AHEAD,
    });
    for await (const some of reads) lines.push(...some);
    const body = Buffer.concat(lines);
    const first = entries[0]?.first ?? 0;
    const last = entries.at(-1)?.last ?? 0;
    const segment = { first, last, md5: md5Of(body), size: body.byteLength };
    const name = { user, client, ...segment };
    // Throws unless it holds exactly the operations that its name says.
    new Segment(name, body);
    await objects.putPacked(name, body);
    this.counts.segments++;
    this.counts.packed += last - first + 1;
    listings.repacked(user, client, runs, [segment]);
  }

  async #delete(user: Fingerprint, gone: readonly Gone[]): Promise<void> {
    const { listings, objects, pause } = this.#options;
    for (const { client, runs } of gone) {
      const rest = runs.values();
      const deleting = async () => {
        for (const run of rest) {
          if (this.#stop.signal.aborted) return;
          await objects.delete({ user, client, ...run });
          this.counts.deleted++;
        }
      };
      await pause?.();
      await Promise.all(Array.from({ length: READ_AHEAD.maxItems }, deleting));
      // Again, for a listing that was read between the two.
      listings.repacked(user, client, runs);
    }
  }
}
