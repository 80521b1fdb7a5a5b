import { ObjectMissing, StorageFull } from "../../storage/driver.ts";
import type { Announcer } from "../announcer.ts";
import { segmentChecksums } from "../checksums.ts";
import { type Entry, EntryReader, type ForkListener } from "../entries.ts";
import type { ListingCache } from "../listing-cache.ts";
import type { Fingerprint, ObjectName } from "../names.ts";
import type { ObjectCache } from "../object-cache.ts";
import { prefetch } from "../prefetch.ts";
import { Segment } from "../segment.ts";
import type { Overlap, Run, Sequence } from "../sequence.ts";
import type { Superseded } from "../superseded-objects.ts";
import type { Telemetry } from "../telemetry.ts";
import {
  FEWEST_OPERATIONS,
  fewestOperations,
  type PackingLimits,
  planSegments,
} from "./planner.ts";

export interface PackerOptions {
  readonly listings: ListingCache;
  readonly objects: ObjectCache;
  /** Absent for a lone server. */
  readonly announcer?: Announcer | undefined;
  readonly onForks?: ForkListener | undefined;
  readonly limits: PackingLimits;
  /**
   * Called after something was stored, or may have been, however that ended: deletes it if the user
   * was erased meanwhile, because the erasure may have listed too early to find it.
   */
  readonly settle?: ((user: Fingerprint) => Promise<unknown>) | undefined;
  /** Waited for before each piece of work, and within a large one, so that requests go first. */
  readonly pause: () => Promise<void>;
  /** Ends the work at the next point where it can end. */
  readonly signal: AbortSignal;
  readonly telemetry: Telemetry;
}

/** The result of packing a log: what can be deleted, and why the rest could not be packed. */
export interface Packed {
  readonly superseded: readonly Superseded[];
  readonly errors: readonly unknown[];
  /** A segment is stored in the room that storage keeps for this. Deleting makes that room again. */
  readonly fromReserve: boolean;
}

/**
 * What a piece of work has changed: the runs that it superseded, those that hold their operations
 * now, and which of these it stored.
 */
interface Change {
  readonly superseded: readonly Run[];
  readonly by: readonly Run[];
  readonly added?: Run;
  /** As in `Packed`. */
  readonly fromReserve?: boolean;
}

/** Objects read at once, and the bytes that they may come to. */
const PACKER_PREFETCH = { maxItems: 16, maxBytes: 2 * 1024 * 1024 };

/** How many objects are read between two pauses. */
const WITHOUT_PAUSE = 128;

/** Objects that overlap are merged only where they come to no more than this many bytes. */
const MAX_MERGED = 4 * 1024 * 1024;

/**
 * Packs small objects of a log into segments, and deletes the objects that the segments supersede.
 *
 * - It may stop at any point, by a crash as well. Objects are read and verified first, then the
 *   segment is stored durably, and only then the objects are deleted. In between, or permanently
 *   where it stops there, readers find both and take each operation once (`entries.ts`).
 * - Several processes may compact one log. An object is deleted only if each of its payloads is
 *   also in an object that ends at a higher index, or at the same index and begins at a lower one.
 *   This order has no cycles, so two processes never delete each other's last copy.
 * - The last object of a client is neither packed nor deleted, so that a list taken meanwhile can
 *   show a hole but never a log that ends too early (`listing-cache.ts`).
 */
export class Packer {
  readonly #options: PackerOptions;
  readonly #entries: EntryReader;

  constructor(options: PackerOptions) {
    const { listings, objects, onForks } = options;
    this.#options = options;
    // Packed objects are read for the last time, so the payload cache does not keep them.
    this.#entries = new EntryReader({
      read: (name) => objects.getUncached(name),
      onForks,
      onDamaged: (user, error) => listings.damaged(user, error),
    });
  }

  /**
   * Stores all segments that are worth it; where there is no room, the first one that fits into what
   * storage keeps for this. An object that cannot be packed stays as it is, with its error, and keeps
   * no other object from being packed; but `ObjectMissing` is thrown, because another process has
   * compacted the log meanwhile.
   *
   * @param idle whether whatever can be packed is worth it
   */
  async pack(user: Fingerprint, idle: boolean): Promise<Packed> {
    // A put that failed may have stored its segment nevertheless.
    let mayHaveStored = true;
    try {
      const packed = await this.#packAll(user, idle);
      mayHaveStored = packed.superseded.length + packed.errors.length > 0;
      return packed;
    } finally {
      if (mayHaveStored) await this.#options.settle?.(user);
    }
  }

  async #packAll(user: Fingerprint, idle: boolean): Promise<Packed> {
    const { limits, listings, announcer, pause, signal } = this.#options;
    const listing = await listings.getStale(user);
    const fewest = idle ? FEWEST_OPERATIONS : fewestOperations(listing, limits);
    const all: Superseded[] = [];
    const errors: unknown[] = [];
    let fromReserve = false;
    for (const [client, sequence] of listing.clients) {
      const superseded: Run[] = [];
      const added: Run[] = [];
      /** What holds the operations of the superseded runs. */
      const holders = new Set<Run>();
      for (const work of this.#workOn(user, client, sequence, fewest)) {
        await pause();
        if (signal.aborted || fromReserve) break;
        try {
          const change = await work();
          for (const run of change.superseded) superseded.push(run);
          for (const run of change.by) holders.add(run);
          if (change.superseded.length > 0) {
            all.push({ client, runs: change.superseded, by: change.by });
          }
          if (change.added !== undefined) added.push(change.added);
          fromReserve = change.fromReserve === true;
        } catch (error) {
          if (error instanceof ObjectMissing) throw error;
          errors.push(error);
        }
      }
      if (superseded.length > 0) {
        listings.applyCompaction(user, client, superseded, added);
        // Not only what was added: a segment may be there already of which other servers do not know.
        await announcer?.packed(user, client, superseded, [...holders]);
      }
      if (signal.aborted || fromReserve) break;
    }
    return { superseded: all, errors, fromReserve };
  }

  /** The pieces of work that there are for a client: overlaps to resolve, and segments to store. */
  #workOn(
    user: Fingerprint,
    client: string,
    sequence: Sequence,
    fewest: number,
  ): (() => Promise<Change>)[] {
    const overlaps = sequence.overlaps();
    return [
      ...overlaps.map((overlap) => () => this.#resolve(user, client, sequence, overlap)),
      ...planSegments(sequence, this.#options.limits, fewest).map((runs) => async () => {
        const entries = runs.map((run) => ({ first: run.first, last: run.last, runs: [run] }));
        return { superseded: runs, ...(await this.#store(user, client, entries)) };
      }),
    ];
  }

  /**
   * Supersedes runs of an overlap. Every run that holds a payload which no other run holds stays:
   * where an index is forked, these are several.
   */
  async #resolve(
    user: Fingerprint,
    client: string,
    sequence: Sequence,
    overlap: Overlap,
  ): Promise<Change> {
    const entries = await this.#entries.resolveOverlap(user, client, overlap);
    const needed = new Set(entries.flatMap(({ runs }) => runs));
    const forked = entries.some(({ runs }) => runs.length > 1);
    const bytes = [...needed].reduce((sum, { size }) => sum + size, 0);
    if (!forked && needed.size > 1 && overlap.last < sequence.end && bytes <= MAX_MERGED) {
      // Two processes have packed some of the operations into different segments.
      return { superseded: overlap.runs, ...(await this.#store(user, client, entries)) };
    }
    return { superseded: overlap.runs.filter((run) => !needed.has(run)), by: [...needed] };
  }

  /** Stores the segment that is made of entries. */
  async #store(
    user: Fingerprint,
    client: string,
    entries: readonly Entry[],
  ): Promise<Omit<Change, "superseded">> {
    const { pause, signal, telemetry } = this.#options;
    const lines: Uint8Array[] = [];
    const reads = prefetch(entries.entries(), {
      read: async ([i, entry]) => {
        // There was a pause before the first.
        if (i > 0 && i % WITHOUT_PAUSE === 0 && !signal.aborted) await pause();
        return this.#entries.lines(user, [{ client, entry }]);
      },
      bytes: ([, { runs }]) => runs.reduce((sum, { size }) => sum + size, 0),
      ...PACKER_PREFETCH,
    });
    for await (const some of reads) lines.push(...some);
    const body = Buffer.concat(lines);
    const [first, last] = [entries.at(0)?.first, entries.at(-1)?.last];
    if (first === undefined || last === undefined) throw new TypeError("there is nothing to pack");
    const run = { first, last, ...segmentChecksums(body), size: body.byteLength };
    const name = { user, client, ...run };
    // Throws unless it holds exactly the operations that its name promises.
    new Segment(name, body);
    const fromReserve = await this.#put(name, body);
    telemetry.count("compaction", "stored");
    return { by: [run], added: run, fromReserve };
  }

  /** Stores a segment. True where that took the room that storage keeps for this. */
  async #put(name: ObjectName, body: Uint8Array): Promise<boolean> {
    const { objects } = this.#options;
    try {
      await objects.putUncached(name, body);
      return false;
    } catch (error) {
      if (!(error instanceof StorageFull)) throw error;
      await objects.putUncached(name, body, true);
      return true;
    }
  }
}
