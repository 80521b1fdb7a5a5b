/** Plans which runs of a log are worth packing into segments. */
import { isOverlap, lengthOf, type Overlap, type Run, type Sequence } from "../sequence.ts";

export interface PackingLimits {
  /** Consecutive small objects are packed when they hold this many operations … */
  readonly operations: number;
  /** … or take this many bytes, which is also the size of a full segment. */
  readonly bytes: number;
}

/** What is packed by default. */
export const LIMITS: PackingLimits = { operations: 256, bytes: 1024 * 1024 };

/** By how many bytes a payload grows when it becomes a line, roughly. */
const LINE_OVERHEAD = 100;

/**
 * The runs of a sequence to pack, each list into one segment.
 *
 * Small segments are packed again only when together they fill a segment, so that an operation is
 * rewritten about twice. The last object of a client always stays: a list taken during a compaction
 * then shows a hole, and never a log that ends too early (see `oplog/listing-cache.ts`).
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
    // What is left does not fill a segment, but many single operations are packed before that.
    packs.push(...looseStretches(pack, limits));
  }
  return packs.filter((pack) => pack.length > 1);
}

/** Consecutive runs that are small, overlap with no other, and are not the last. */
function smallStretches(sequence: Sequence, { bytes }: PackingLimits): Run[][] {
  const all = sequence.within({ first: 0, last: Number.MAX_SAFE_INTEGER });
  return stretchesOf(all, (run) => run.last < sequence.end && packedSize(run) < bytes / 2);
}

/** Consecutive runs that hold few operations each, and enough together. */
function looseStretches(runs: readonly Run[], { operations }: PackingLimits): Run[][] {
  return stretchesOf(runs, (run) => lengthOf(run) < operations).filter(
    (some) => some.reduce((sum, run) => sum + lengthOf(run), 0) >= operations,
  );
}

/** The lone runs that pass a test, in lists of consecutive ones. */
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
