import type { Checksums } from "./checksums.ts";

/** The operation indexes `first` to `last`, both included. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

/** How many operations a span has. */
export function lengthOf({ first, last }: Span): number {
  return last - first + 1;
}

/** One stored object of a client: the operations it holds, its checksums, and its size in bytes. */
export interface Run extends Span, Checksums {
  readonly size: number;
}

/**
 * Runs that share operation indexes, in byte order of their names. Either an index has two payloads
 * (a fork), or objects that a segment supersedes are not deleted yet. Names alone do not show which;
 * `oplog/entries.ts` finds out.
 */
export interface Overlap extends Span {
  readonly runs: readonly Run[];
}

/** True for runs that overlap, false for a lone one. */
export function isOverlap(piece: Run | Overlap): piece is Overlap {
  return "runs" in piece;
}

const NONE: readonly Overlap[] = [];

/** An overlap while it is built, and its position among the runs. */
interface PlacedOverlap {
  readonly overlap: { first: number; last: number; runs: Run[] };
  readonly start: number;
  end: number;
}

/**
 * The stored runs of one client. A sequence only grows at its end, so that a reader may hold on to it
 * while operations are appended; any other change makes a new sequence.
 */
export class Sequence {
  /** The first index that was not trimmed: snapshots stand for what is before it, stored or not. */
  readonly base: number;
  readonly #trimmed: Run[] = [];
  /** In byte order of names: by first index; see `oplog/names.ts`. */
  readonly #runs: Run[] = [];
  readonly #overlaps: PlacedOverlap[] = [];
  /** The gapless stretches, in order: one, unless something is missing from storage. */
  readonly #stretches: { first: number; last: number }[] = [];

  constructor(base = 0) {
    this.base = base;
  }

  /** The runs that hold nothing but what was trimmed: they are to be deleted, and nothing else here shows them. */
  get trimmed(): readonly Run[] {
    return this.#trimmed;
  }

  get runs(): readonly Run[] {
    return this.#runs;
  }

  /** The index of the next operation: the first that is not stored. */
  get next(): number {
    const start = this.#stretches[0];
    return start === undefined || start.first > this.base ? this.base : start.last + 1;
  }

  /** The last index that is stored, or was trimmed; -1 where there is none. */
  get end(): number {
    return this.#stretches.at(-1)?.last ?? this.base - 1;
  }

  /** True when all operations before `index` are stored, and no later one. */
  endsBefore(index: number): boolean {
    if (this.#stretches.length === 0) return index > 0 && index === this.base;
    // With a hole at the start, `next` is the base although later operations are stored.
    return index > this.base && this.#stretches.length === 1 && this.next === index;
  }

  /** The indexes that are missing before the last one. None, unless storage was damaged. */
  get holes(): Span[] {
    let expected = this.base;
    const holes: Span[] = [];
    for (const { first, last } of this.#stretches) {
      if (first > expected) holes.push({ first: expected, last: first - 1 });
      expected = last + 1;
    }
    return holes;
  }

  /** The overlaps that share indexes with a span; all of them by default. */
  overlaps(span: Span = { first: 0, last: Number.MAX_SAFE_INTEGER }): readonly Overlap[] {
    if (this.#overlaps.length === 0) return NONE;
    return this.#overlaps
      .map(({ overlap }) => overlap)
      .filter(({ first, last }) => last >= span.first && first <= span.last);
  }

  /** Adds the run that comes next in byte order of names. */
  add(run: Run): void {
    if (run.last < this.base) {
      this.#trimmed.push(run);
      return;
    }
    const position = this.#runs.push(run) - 1;
    const stretch = this.#stretches.at(-1);
    const first = Math.max(run.first, this.base);
    if (stretch === undefined || first > stretch.last + 1) {
      this.#stretches.push({ first, last: run.last });
    } else if (first === stretch.last + 1) {
      stretch.last = run.last;
    } else {
      stretch.last = Math.max(stretch.last, run.last);
      this.#overlap(run, position);
    }
  }

  /**
   * The gapless span from `index + 1` on; `undefined` where that operation is not stored. Not to be asked
   * for what was trimmed.
   */
  above(index: number): Span | undefined {
    const first = index + 1;
    const stretch = this.#stretches.find((stretch) => stretch.last >= first);
    return stretch === undefined || stretch.first > first
      ? undefined
      : { first, last: stretch.last };
  }

  /** What holds the operations of a span, in order: lone runs, and overlaps as a whole. */
  *within(span: Span): Generator<Run | Overlap, void, void> {
    let i = this.#position(span.first);
    let o = this.#overlaps.findIndex(({ end }) => end > i);
    for (;;) {
      const place = o === -1 ? undefined : this.#overlaps[o];
      const inOverlap = place !== undefined && place.start <= i;
      const piece = inOverlap ? place.overlap : this.#runs[i];
      if (piece === undefined || piece.first > span.last) return;
      if (piece.last >= span.first) yield piece;
      i = inOverlap ? place.end : i + 1;
      if (inOverlap) o++;
    }
  }

  /** Records a run that shares indexes with the runs right before it. */
  #overlap(run: Run, position: number): void {
    let place = this.#overlaps.at(-1);
    if (place?.end !== position) {
      const before = this.#runs.slice(position - 1, position);
      const { first, last } = before[0] ?? run;
      place = { overlap: { first, last, runs: before }, start: position - 1, end: position };
      this.#overlaps.push(place);
    }
    place.overlap.runs.push(run);
    place.overlap.last = Math.max(place.overlap.last, run.last);
    place.end++;
  }

  /** The position of the last piece that does not begin after `index` (binary search). */
  #position(index: number): number {
    let low = 0;
    let high = this.#runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const run = this.#runs[middle];
      if (run !== undefined && run.first <= index) low = middle + 1;
      else high = middle;
    }
    const position = Math.max(0, low - 1);
    const place = this.#overlaps.find(({ start, end }) => start <= position && position < end);
    return place?.start ?? position;
  }
}

/** The byte order of the names of two runs of one client. */
export function byName(a: Span & Checksums, b: Span & Checksums): number {
  if (a.first !== b.first) return a.first - b.first;
  const [aSegment, bSegment] = [a.last > a.first, b.last > b.first];
  if (aSegment !== bSegment) return aSegment ? -1 : 1;
  if (a.last !== b.last) return a.last - b.last;
  return byText(a.md5, b.md5) || byText(a.crc32 ?? "", b.crc32 ?? "");
}

function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** True when operations are missing from a sequence that were in an earlier one. */
export function isShorter(now: Sequence | undefined, before: Sequence | undefined): boolean {
  if (before === undefined) return false;
  return now === undefined || now.next < before.next || now.end < before.end;
}
