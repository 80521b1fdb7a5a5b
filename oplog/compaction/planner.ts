/** Plans which runs of a log are worth packing into segments. */
import type { Listing } from "../listing.ts";
import { isOverlap, lengthOf, type Overlap, type Run, type Sequence } from "../sequence.ts";

export interface PackingLimits {
  /** Consecutive small objects are packed when they hold this many operations … */
  readonly operations: number;
  /** … or take this many bytes, which is also the size of a full segment. */
  readonly bytes: number;
  /** Where a user has more small objects than this, fewer operations are enough. */
  readonly objects: number;
}

/** What is packed by default. An S3 service lists 1000 objects at once. */
export const LIMITS: PackingLimits = { operations: 256, bytes: 1024 * 1024, objects: 1000 };

/** The fewest operations that are packed: two objects of one each. */
export const FEWEST_OPERATIONS = 2;

/** By how many bytes a payload grows when it becomes a line, roughly. */
const LINE_OVERHEAD = 100;

/**
 * The runs of a sequence to pack, each list into one segment.
 *
 * Small segments are packed again when together they fill a segment. With fewer operations than
 * `limits.operations`, an object is packed only into one of at least twice as many. So an operation
 * is rewritten once because of their number, once because of their bytes, and at most
 * log2(`limits.operations`) times before that. The last object of a client always stays: a list
 * taken during a compaction then shows a hole, and never a log that ends too early (see
 * `oplog/listing-cache.ts`).
 *
 * @param fewest from how many operations on a stretch is worth a segment that it does not fill
 */
export function planSegments(
  sequence: Sequence,
  limits: PackingLimits,
  fewest = limits.operations,
): Run[][] {
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
    packs.push(...looseStretches(pack, limits, fewest));
  }
  return packs.filter((pack) => pack.length > 1);
}

/**
 * From how many operations on a stretch of a log is packed while it is in use: the more small
 * objects there are, the fewer.
 */
export function fewestOperations({ clients }: Listing, limits: PackingLimits): number {
  let small = 0;
  for (const sequence of clients.values()) {
    for (const run of sequence.runs) if (isLoose(run, limits) && run.last < sequence.end) small++;
  }
  const fewest = Math.floor((limits.operations * limits.objects) / small);
  return Math.max(FEWEST_OPERATIONS, Math.min(limits.operations, fewest));
}

/** Whether compaction has something to do in a log: segments to store, or overlaps to resolve. */
export function hasWork({ clients }: Listing, limits: PackingLimits, fewest: number): boolean {
  for (const sequence of clients.values()) {
    if (sequence.overlaps().length > 0) return true;
    if (planSegments(sequence, limits, fewest).length > 0) return true;
  }
  return false;
}

/** Consecutive runs that are small, overlap with no other, and are not the last. */
function smallStretches(sequence: Sequence, { bytes }: PackingLimits): Run[][] {
  const all = sequence.within({ first: 0, last: Number.MAX_SAFE_INTEGER });
  return stretchesOf(all, (run) => run.last < sequence.end && packedSize(run) < bytes / 2);
}

/** Consecutive runs that hold few operations each, and enough together. */
function looseStretches(runs: readonly Run[], limits: PackingLimits, fewest: number): Run[][] {
  return stretchesOf(runs, (run) => isLoose(run, limits))
    .flatMap((some) => (operationsOf(some) < limits.operations ? doubling(some) : [some]))
    .filter((some) => operationsOf(some) >= fewest);
}

/** Consecutive runs in lists of which none has a run with more than half of the list's operations. */
function doubling(runs: readonly Run[]): Run[][] {
  const half = operationsOf(runs) / 2;
  const large = runs.findIndex((run) => lengthOf(run) > half);
  if (large === -1) return [[...runs]];
  return [...doubling(runs.slice(0, large)), ...doubling(runs.slice(large + 1))];
}

function isLoose(run: Run, { operations, bytes }: PackingLimits): boolean {
  return lengthOf(run) < operations && packedSize(run) < bytes / 2;
}

function operationsOf(runs: readonly Run[]): number {
  return runs.reduce((sum, run) => sum + lengthOf(run), 0);
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
