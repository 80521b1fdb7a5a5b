import { LRUCache } from "lru-cache";
import { textOf, utf8 } from "../protocol/bytes.ts";
import { formatLine } from "../protocol/ndjson.ts";
import { md5Of } from "../storage/driver.ts";
import type { Fingerprint } from "./names.ts";
import type { ObjectCache } from "./object-cache.ts";
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

/** Segments of which parts are read are kept for a moment: the next part is often wanted too. */
const SEGMENTS_KEPT = 4;

/** Reads operations out of the objects that hold them, and sorts out objects that overlap. */
export class EntryReader {
  readonly #objects: Pick<ObjectCache, "get">;
  readonly #onForks: (user: Fingerprint, client: string, at: Span, forks: number) => void;
  readonly #sorted = new WeakMap<Overlap, readonly Entry[]>();
  readonly #segments = new LRUCache<Run, Promise<Segment>>({ max: SEGMENTS_KEPT });

  /** @param onForks told of indexes with several payloads that only a look into segments shows */
  constructor(
    objects: Pick<ObjectCache, "get">,
    onForks: (user: Fingerprint, client: string, at: Span, forks: number) => void = () => undefined,
  ) {
    this.#objects = objects;
    this.#onForks = onForks;
  }

  /** The lines of entries, in order, from each of their objects. Throws as `ObjectCache.get` does. */
  lines(user: Fingerprint, client: string, entries: readonly Entry[]): Promise<Uint8Array[]> {
    const reads = entries.flatMap((entry) =>
      entry.runs.map((run) => this.#linesOf(user, client, run, entry)),
    );
    return Promise.all(reads);
  }

  async #linesOf(user: Fingerprint, client: string, run: Run, span: Span): Promise<Uint8Array> {
    const { first, last } = run;
    if (first < last && (span.first > first || span.last < last)) {
      return (await this.segment(user, client, run)).lines(span.first, span.last);
    }
    const body = await this.#objects.get({ user, client, ...run });
    // A whole segment goes as it is: its MD5 has vouched for it.
    return first < last ? body : utf8(formatLine(client, first, textOf(body)));
  }

  /** A segment, to look into. Throws as `ObjectCache.get` does, and `SegmentMalformed`. */
  segment(user: Fingerprint, client: string, run: Run): Promise<Segment> {
    const kept = this.#segments.get(run);
    if (kept !== undefined) return kept;
    const name = { user, client, ...run };
    const segment = this.#objects.get(name).then((body) => new Segment(name, body));
    this.#segments.set(run, segment);
    // Not for ever: storage may answer the next time.
    segment.catch(() => this.#segments.delete(run));
    return segment;
  }

  /**
   * Finds out what overlapping runs hold, so that `entries` knows. Reads from storage only where
   * a segment is among them: the names of objects do not tell what is in a segment.
   */
  async sort(user: Fingerprint, client: string, overlaps: readonly Overlap[]): Promise<void> {
    for (const overlap of overlaps) {
      if (this.#sorted.has(overlap)) continue;
      const entries = await this.#sort(user, client, overlap);
      this.#sorted.set(overlap, entries);
      const { first, last } = overlap;
      const forks = entries.reduce((sum, entry) => sum + linesIn(entry), 0) - lengthOf(overlap);
      if (forks > 0 && first < last) this.#onForks(user, client, { first, last }, forks);
    }
  }

  /** The entries of a sequence that hold a span, in order and cut to it. All overlaps are sorted. */
  *entries(sequence: Sequence, span: Span): Generator<Entry, void, void> {
    for (const piece of sequence.within(span)) {
      const { first, last } = piece;
      const entries = isOverlap(piece) ? this.sorted(piece) : [{ first, last, runs: [piece] }];
      for (const entry of entries) {
        if (entry.last < span.first || entry.first > span.last) continue;
        yield {
          first: Math.max(entry.first, span.first),
          last: Math.min(entry.last, span.last),
          runs: entry.runs,
        };
      }
    }
  }

  /** What overlapping runs hold: each payload once; under one index in the order of their hashes. */
  sorted(overlap: Overlap): readonly Entry[] {
    const entries = this.#sorted.get(overlap);
    if (entries === undefined) throw new TypeError("the overlap was not sorted before");
    return entries;
  }

  async #sort(user: Fingerprint, client: string, { first, last, runs }: Overlap): Promise<Entry[]> {
    /** For each index, the run that holds each payload, by the payload's MD5. */
    const held = Array.from({ length: lengthOf({ first, last }) }, () => new Map<string, Run>());
    for (const run of runs) {
      const segment = run.first === run.last ? undefined : await this.segment(user, client, run);
      for (let index = run.first; index <= run.last; index++) {
        const md5 = segment === undefined ? run.md5 : md5Of(utf8(segment.payload(index)));
        const holders = held[index - first];
        const other = holders?.get(md5);
        // Of those that hold the same payload, the one that reaches furthest.
        if (other === undefined || other.last < run.last) holders?.set(md5, run);
      }
    }
    const entries: { first: number; last: number; runs: Run[] }[] = [];
    for (const [i, holders] of held.entries()) {
      const needed = [...holders].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, run]) => run);
      const before = entries.at(-1);
      const goesOn =
        needed.length === 1 && before?.runs.length === 1 && before.runs[0] === needed[0];
      if (before !== undefined && goesOn) before.last = first + i;
      else entries.push({ first: first + i, last: first + i, runs: needed });
    }
    return entries;
  }
}

/** How many lines an entry comes to. */
export function linesIn(entry: Entry): number {
  return lengthOf(entry) * entry.runs.length;
}

/** How many bytes the lines of an entry come to, roughly, where only a part of an object is read. */
export function bytesIn(entry: Entry): number {
  const partOf = (run: Run) => Math.ceil((run.size * lengthOf(entry)) / lengthOf(run));
  return entry.runs.reduce((sum, run) => sum + partOf(run), 0);
}
