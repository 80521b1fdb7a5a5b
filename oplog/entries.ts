import { LRUCache } from "lru-cache";
import { textOf, utf8 } from "../protocol/bytes.ts";
import { formatLine } from "../protocol/ndjson.ts";
import { md5Of } from "../storage/driver.ts";
import type { Fingerprint, ObjectName } from "./names.ts";
import { ObjectDamaged, type SizedName } from "./object-cache.ts";
import { Segment } from "./segment.ts";
import {
  isOverlap,
  lengthOf,
  type Overlap,
  type Run,
  type Sequence,
  type Span,
} from "./sequence.ts";

/**
 * What is read and sent as a whole: consecutive operations out of one stored object or, for an
 * index that is forked, the operation out of each object that has another payload for it.
 */
export interface Entry extends Span {
  readonly runs: readonly Run[];
}

/** An entry, and the client that it is of. */
export interface ClientEntry {
  readonly client: string;
  readonly entry: Entry;
}

export interface EntryReaderOptions {
  /** Reads an object, at once where it is cached; rejects as `ObjectCache.get` does. */
  readonly read: (name: SizedName) => Uint8Array | Promise<Uint8Array>;
  readonly onForks?: ForkListener | undefined;
  /** Called with every object that turns out to be damaged. */
  readonly onDamaged: DamageListener;
}

/** Called for indexes with several payloads that only the contents of segments show. */
export type ForkListener = (user: Fingerprint, client: string, at: Span, forks: number) => void;

/** Called when the bytes of an object are not what its name promises. */
export type DamageListener = (user: Fingerprint, error: ObjectDamaged) => void;

/** The entries of overlaps. */
type Resolved = ReadonlyMap<Overlap, readonly Entry[]>;

const NONE_RESOLVED: Resolved = new Map();

/** Segments of which parts are read stay in memory for a moment: the next part often follows. */
const SEGMENTS_KEPT = 4;

/** Reads operations out of the objects that hold them, and resolves objects that overlap. */
export class EntryReader {
  readonly #options: EntryReaderOptions;
  /** An overlap never changes, so its entries do not either. */
  readonly #resolved = new WeakMap<Overlap, readonly Entry[]>();
  readonly #segments = new LRUCache<Run, Promise<Segment>>({ max: SEGMENTS_KEPT });

  constructor(options: EntryReaderOptions) {
    this.#options = options;
  }

  /**
   * The entries of a sequence that hold a span, in order and cut to it; they can be iterated again.
   * A promise only where runs overlap: those that are segments are read, and it rejects as `segment`
   * does.
   */
  entriesOf(
    user: Fingerprint,
    client: string,
    sequence: Sequence,
    span: Span,
  ): Iterable<Entry> | Promise<Iterable<Entry>> {
    const overlaps = sequence.overlaps(span);
    return overlaps.length === 0
      ? new Entries(sequence, span, NONE_RESOLVED)
      : this.#resolve(user, client, overlaps).then(
          (resolved) => new Entries(sequence, span, resolved),
        );
  }

  /**
   * What overlapping runs hold: each payload once, under one index in the order of their hashes.
   * Where a segment is among them, it is read: the names of objects do not show its payloads.
   */
  async resolveOverlap(
    user: Fingerprint,
    client: string,
    overlap: Overlap,
  ): Promise<readonly Entry[]> {
    const known = this.#resolved.get(overlap);
    if (known !== undefined) return known;
    const entries = entriesOfHolders(overlap.first, await this.#holders(user, client, overlap));
    this.#resolved.set(overlap, entries);
    const { first, last } = overlap;
    const forks = entries.reduce((sum, entry) => sum + linesIn(entry), 0) - lengthOf(overlap);
    // Forks of single operations show in the listing already.
    if (forks > 0 && first < last) this.#options.onForks?.(user, client, { first, last }, forks);
    return entries;
  }

  /** The lines of entries, in order, from each of their objects. Throws as `segment` does. */
  async lines(user: Fingerprint, entries: readonly ClientEntry[]): Promise<Uint8Array[]> {
    const cached: Uint8Array[] = [];
    const reads: (Uint8Array | Promise<Uint8Array>)[] = [];
    for (const { client, entry } of entries) {
      for (const run of entry.runs) {
        const lines = this.#linesOf(user, client, run, entry);
        reads.push(lines);
        if (!(lines instanceof Promise)) cached.push(lines);
      }
    }
    return cached.length === reads.length ? cached : Promise.all(reads);
  }

  /** A segment, to look into. Throws as `ObjectCache.get` does. */
  segment(user: Fingerprint, client: string, run: Run): Promise<Segment> {
    const kept = this.#segments.get(run);
    if (kept !== undefined) return kept;
    const name = { user, client, ...run };
    const segment = this.#noting(name, async () => {
      return new Segment(name, await this.#options.read(name));
    });
    this.#segments.set(run, segment);
    // A failure is not kept: storage may answer the next time.
    segment.catch(() => this.#segments.delete(run));
    return segment;
  }

  /** The body of the object that a run is, at once where it is cached. Rejects as `ObjectCache.get` does. */
  body(user: Fingerprint, client: string, run: Run): Uint8Array | Promise<Uint8Array> {
    const name = { user, client, ...run };
    const body = this.#options.read(name);
    return body instanceof Promise ? this.#noting(name, () => body) : body;
  }

  #linesOf(
    user: Fingerprint,
    client: string,
    run: Run,
    span: Span,
  ): Uint8Array | Promise<Uint8Array> {
    const { first, last } = run;
    if (first < last && (span.first > first || span.last < last)) {
      return this.segment(user, client, run).then((segment) =>
        segment.lines(span.first, span.last),
      );
    }
    const body = this.body(user, client, run);
    // The body of a whole segment is its lines, which its checksum has shown.
    if (first < last) return body;
    return body instanceof Promise
      ? body.then((payload) => lineOf(client, first, payload))
      : lineOf(client, first, body);
  }

  /** The entries of overlaps. Reads the segments among them, one after the other. */
  async #resolve(
    user: Fingerprint,
    client: string,
    overlaps: readonly Overlap[],
  ): Promise<Resolved> {
    const resolved = new Map<Overlap, readonly Entry[]>();
    for (const overlap of overlaps) {
      resolved.set(overlap, await this.resolveOverlap(user, client, overlap));
    }
    return resolved;
  }

  /** Reads an object, and reports when it is damaged. */
  async #noting<Result>(name: ObjectName, read: () => Promise<Result>): Promise<Result> {
    try {
      return await read();
    } catch (error) {
      if (error instanceof ObjectDamaged) this.#options.onDamaged(name.user, error);
      throw error;
    }
  }

  /** For each index of an overlap the runs that hold its payloads, by the payloads' MD5. */
  async #holders(
    user: Fingerprint,
    client: string,
    { first, last, runs }: Overlap,
  ): Promise<Map<string, Run>[]> {
    const holders = Array.from({ length: lengthOf({ first, last }) }, () => new Map<string, Run>());
    for (const run of runs) {
      const segment = run.first === run.last ? undefined : await this.segment(user, client, run);
      for (let index = run.first; index <= run.last; index++) {
        const md5 = segment === undefined ? run.md5 : md5Of(utf8(segment.payload(index)));
        const byMd5 = holders[index - first];
        const other = byMd5?.get(md5);
        // Of several that hold the same payload, the one that reaches furthest.
        if (other === undefined || other.last < run.last) byMd5?.set(md5, run);
      }
    }
    return holders;
  }
}

/** The line of an operation that has an object to itself. */
function lineOf(client: string, index: number, payload: Uint8Array): Uint8Array {
  return utf8(formatLine(client, index, textOf(payload)));
}

/** `entriesIn`, to be iterated any number of times. */
class Entries implements Iterable<Entry> {
  readonly #sequence: Sequence;
  readonly #span: Span;
  readonly #resolved: Resolved;

  constructor(sequence: Sequence, span: Span, resolved: Resolved) {
    this.#sequence = sequence;
    this.#span = span;
    this.#resolved = resolved;
  }

  [Symbol.iterator](): Iterator<Entry> {
    return entriesIn(this.#sequence, this.#span, this.#resolved);
  }
}

function* entriesIn(
  sequence: Sequence,
  span: Span,
  resolved: Resolved,
): Generator<Entry, void, void> {
  for (const piece of sequence.within(span)) {
    if (!isOverlap(piece)) {
      yield cut(piece, [piece], span);
      continue;
    }
    const entries = resolved.get(piece);
    // A sequence grows at its end alone, and an overlap is never extended.
    if (entries === undefined) throw new TypeError("an overlap came into a sequence meanwhile");
    for (const entry of entries) {
      if (entry.last >= span.first && entry.first <= span.last) yield cut(entry, entry.runs, span);
    }
  }
}

/** The entry of some runs over the part of `whole` that lies in a span. */
function cut(whole: Span, runs: readonly Run[], span: Span): Entry {
  return {
    first: Math.max(whole.first, span.first),
    last: Math.min(whole.last, span.last),
    runs,
  };
}

/** Entries from index `first` on: as few as hold every payload once. */
function entriesOfHolders(first: number, holders: readonly ReadonlyMap<string, Run>[]): Entry[] {
  const entries: { first: number; last: number; runs: Run[] }[] = [];
  for (const [i, byMd5] of holders.entries()) {
    const runs = [...byMd5].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, run]) => run);
    const before = entries.at(-1);
    const goesOn = runs.length === 1 && before?.runs.length === 1 && before.runs[0] === runs[0];
    if (before !== undefined && goesOn) before.last = first + i;
    else entries.push({ first: first + i, last: first + i, runs });
  }
  return entries;
}

/** How many lines an entry comes to. */
export function linesIn(entry: Entry): number {
  return lengthOf(entry) * entry.runs.length;
}

/** How many bytes the lines of an entry come to, roughly, where only a part of an object is read. */
export function bytesIn(entry: Entry): number {
  const length = lengthOf(entry);
  let bytes = 0;
  for (const run of entry.runs) bytes += Math.ceil((run.size * length) / lengthOf(run));
  return bytes;
}
