import { md5Of, ObjectMissing } from "../../storage/driver.ts";
import { type Entry, EntryReader, type ForkListener } from "../entries.ts";
import type { ListingCache } from "../listing-cache.ts";
import type { Fingerprint } from "../names.ts";
import type { ObjectCache } from "../object-cache.ts";
import { prefetch } from "../prefetch.ts";
import { Segment } from "../segment.ts";
import type { Overlap, Run, Sequence } from "../sequence.ts";
import type { Telemetry } from "../telemetry.ts";
import { type PackingLimits, planSegments } from "./planner.ts";

export interface PackerOptions {
  readonly listings: ListingCache;
  readonly objects: ObjectCache;
  readonly onForks?: ForkListener | undefined;
  readonly limits: PackingLimits;
  /** Waited for before each piece of work, and within a large one: requests go first. */
  readonly pause: () => Promise<void>;
  /** Ends the work at the next point where it can end. */
  readonly signal: AbortSignal;
  readonly telemetry: Telemetry;
}

/** Runs of a client that were packed, or were left over, and can be deleted. */
interface Superseded {
  readonly client: string;
  readonly runs: readonly Run[];
}

/** What came of packing a log: what can be deleted now, and what could not be packed. */
export interface Packed {
  readonly gone: readonly Superseded[];
  readonly errors: readonly unknown[];
}

/** Objects read or deleted at once, and the bytes that reads may come to. */
const READ_AHEAD = { maxItems: 16, maxBytes: 2 * 1024 * 1024 };

/** So many objects are read or deleted before requests may go first again. */
const WITHOUT_PAUSE = 128;

/** Objects that overlap are made one only where they come to no more than this many bytes. */
const MAX_MERGED = 4 * 1024 * 1024;

/**
 * Packs small objects of a log into segments.
 *
 * Safe at every point: what is packed is read and checked, the segment is stored durably, and only
 * then are the others deleted. Until that, and for ever where it ends halfway, readers meet both
 * and take each operation once (`entries.ts`). An object is deleted only if each of its payloads is
 * held by an object that reaches further, or as far and begins earlier. That order has no cycles,
 * so two processes that compact one log never delete each other's last copy.
 */
export class Packer {
  readonly #options: PackerOptions;
  readonly #entries: EntryReader;

  constructor(options: PackerOptions) {
    const { objects, onForks } = options;
    this.#options = options;
    // What is packed is read for the last time, so the payload cache does not keep it.
    this.#entries = new EntryReader({ read: (name) => objects.getUncached(name), onForks });
  }

  /**
   * Stores all segments that are worth it. Throws `ObjectMissing` where another process was faster;
   * what cannot be packed for another reason is left as it is, and keeps nothing else from it.
   */
  async pack(user: Fingerprint): Promise<Packed> {
    const { listings, limits, pause, signal } = this.#options;
    const listing = await listings.getStale(user);
    const gone: Superseded[] = [];
    const errors: unknown[] = [];
    for (const [client, sequence] of listing.clients) {
      const leaving: Run[] = [];
      const added: Run[] = [];
      const attempt = async (work: () => Promise<{ leaving: readonly Run[]; added?: Run }>) => {
        await pause();
        if (signal.aborted) return;
        try {
          const done = await work();
          leaving.push(...done.leaving);
          if (done.added !== undefined) added.push(done.added);
        } catch (error) {
          if (error instanceof ObjectMissing) throw error;
          errors.push(error);
        }
      };
      for (const overlap of sequence.overlaps()) {
        await attempt(() => this.#tidy(user, client, sequence, overlap));
      }
      for (const runs of planSegments(sequence, limits)) {
        const entries = runs.map(({ first, last }, i) => ({
          first,
          last,
          runs: runs.slice(i, i + 1),
        }));
        await attempt(async () => ({
          leaving: runs,
          added: await this.#store(user, client, entries),
        }));
      }
      if (leaving.length === 0) continue;
      listings.applyCompaction(user, client, leaving, added);
      gone.push({ client, runs: leaving });
    }
    return { gone, errors };
  }

  /** Deletes what was packed. */
  async delete(user: Fingerprint, gone: readonly Superseded[]): Promise<void> {
    const { listings, objects, pause, signal, telemetry } = this.#options;
    for (const { client, runs } of gone) {
      for (let at = 0; at < runs.length; at += WITHOUT_PAUSE) {
        await pause();
        if (signal.aborted) break;
        const rest = runs.slice(at, at + WITHOUT_PAUSE).values();
        const deleting = async () => {
          for (const run of rest) {
            if (signal.aborted) return;
            await objects.delete({ user, client, ...run });
            telemetry.count("compaction", "deleted");
          }
        };
        await Promise.all(Array.from({ length: READ_AHEAD.maxItems }, deleting));
      }
      // Again, for a listing that was read between the two.
      listings.applyCompaction(user, client, runs);
    }
  }

  /**
   * Sorts out runs that overlap. Where an index is forked, all runs that hold a payload which no
   * other holds stay as they are.
   */
  async #tidy(
    user: Fingerprint,
    client: string,
    sequence: Sequence,
    overlap: Overlap,
  ): Promise<{ leaving: readonly Run[]; added?: Run }> {
    const entries = await this.#entries.resolveOverlap(user, client, overlap);
    const needed = new Set(entries.flatMap(({ runs }) => runs));
    const forked = entries.some(({ runs }) => runs.length > 1);
    const bytes = [...needed].reduce((sum, { size }) => sum + size, 0);
    if (!forked && needed.size > 1 && overlap.last < sequence.end && bytes <= MAX_MERGED) {
      // Two processes have packed some operations each into a segment of its own.
      return { leaving: overlap.runs, added: await this.#store(user, client, entries) };
    }
    return { leaving: overlap.runs.filter((run) => !needed.has(run)) };
  }

  /** Stores the segment that is made of entries. */
  async #store(user: Fingerprint, client: string, entries: readonly Entry[]): Promise<Run> {
    const { objects, pause, signal, telemetry } = this.#options;
    const lines: Uint8Array[] = [];
    const reads = prefetch(entries.entries(), {
      read: async ([i, entry]) => {
        // The first follow upon a pause.
        if (i > 0 && i % WITHOUT_PAUSE === 0 && !signal.aborted) await pause();
        return this.#entries.lines(user, client, [entry]);
      },
      bytes: ([, { runs }]) => runs.reduce((sum, { size }) => sum + size, 0),
      ...READ_AHEAD,
    });
    for await (const some of reads) lines.push(...some);
    const body = Buffer.concat(lines);
    const [first, last] = [entries.at(0)?.first, entries.at(-1)?.last];
    if (first === undefined || last === undefined) throw new TypeError("there is nothing to pack");
    const run = { first, last, md5: md5Of(body), size: body.byteLength };
    const name = { user, client, ...run };
    // Throws unless it holds exactly the operations that its name says.
    new Segment(name, body);
    await objects.putUncached(name, body);
    telemetry.count("compaction", "stored");
    return run;
  }
}
