/** What of a log is worth packing into segments. */
import { isOverlap, lengthOf, type Overlap, type Run, type Sequence } from "../sequence.ts";

export interface PackingLimits {
  /** Consecutive small objects are packed when they hold this many operations … */
  readonly operations: number;
  /** … or come to this many bytes. That is also the size that segments are packed to. */
  readonly bytes: number;
}

/** What a payload grows by when it becomes a line, roughly. */
const LINE_OVERHEAD = 100;

/**
 * The runs of a sequence to be packed, each list into one segment.
 *
 * Small segments are packed again only once they fill a segment of full size together, so that an
 * operation is rewritten about twice in its life. The last object of a client always stays: a list
 * that is taken meanwhile then shows a hole, and not an early end (see `oplog/listing-cache.ts`).
 */
export function planSegments(sequence: Sequence, limits: PackingLimits): Run[][] {
  const packs: Run[][] = [];
  for (const stretch of smallStretches(sequence, limits)) {
    let pack: Run[] = [];
    let bytes = 0;
    for (const run of stretch) {
      pack.push(run);
      bytes += packedSize(run);
      if (bytes < limits.bytes) continue;
      packs.push(pack);
      pack = [];
      bytes = 0;
    }
    // What is left does not fill a segment; but single operations in number do not wait for that.
    packs.push(...looseStretches(pack, limits));
  }
  return packs.filter((pack) => pack.length > 1);
}

/** Runs that are small and overlap with no other, but for the last run of all. */
function smallStretches(sequence: Sequence, { bytes }: PackingLimits): Run[][] {
  const all = sequence.within({ first: 0, last: Number.MAX_SAFE_INTEGER });
  return stretchesOf(all, (run) => run.last < sequence.end && packedSize(run) < bytes / 2);
}

/** Of consecutive runs those that hold few operations each, where they hold enough together. */
function looseStretches(runs: readonly Run[], { operations }: PackingLimits): Run[][] {
  return stretchesOf(runs, (run) => lengthOf(run) < operations).filter(
    (some) => some.reduce((sum, run) => sum + lengthOf(run), 0) >= operations,
  );
}

/** Lone runs that pass a test, in lists of those that follow on each other. */
function stretchesOf(pieces: Iterable<Run | Overlap>, passes: (run: Run) => boolean): Run[][] {
  const stretches: Run[][] = [];
  let next: number | undefined;
  for (const piece of pieces) {
    if (isOverlap(piece) || !passes(piece)) {
      next = undefined;
      continue;
    }
    if (piece.first !== next) stretches.push([]);
    stretches.at(-1)?.push(piece);
    next = piece.last + 1;
  }
  return stretches;
}

function packedSize(run: Run): number {
  return run.size + (run.first === run.last ? LINE_OVERHEAD : 0);
}
