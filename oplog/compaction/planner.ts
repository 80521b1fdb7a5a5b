/** Plans which runs of a log are worth packing into segments. */
import type { Listing } from "../listing.ts";
import { isOverlap, lengthOf, type Run, type Sequence } from "../sequence.ts";

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
 * `oplog/listing-cache.ts`). Its time also says when the client was last used.
 *
 * @param fewest from how many operations on a stretch is worth a segment that it does not fill
 */
export function planSegments(
  sequence: Sequence,
  limits: PackingLimits,
  fewest = limits.operations,
): Run[][] {
  return [...packsOf(sequence, limits, fewest)];
}

/** What `planSegments` plans, one after the other: the first is found without a look at the rest. */
function* packsOf(
  sequence: Sequence,
  limits: PackingLimits,
  fewest: number,
): Generator<Run[], void, void> {
  let pack: Run[] = [];
  let bytes = 0;
  for (const piece of sequence.within({ first: 0, last: Number.MAX_SAFE_INTEGER })) {
    const run = isOverlap(piece) || !isSmall(piece, sequence, limits) ? undefined : piece;
    const before = pack.at(-1);
    if (run === undefined || (before !== undefined && run.first !== before.last + 1)) {
      // What is left does not fill a segment, but many single operations are packed before that.
      yield* looseStretches(pack, limits, fewest);
      pack = [];
      bytes = 0;
    }
    if (run === undefined) continue;
    pack.push(run);
    bytes += packedSize(run);
    if (bytes < limits.bytes) continue;
    if (pack.length > 1) yield pack;
    pack = [];
    bytes = 0;
  }
  yield* looseStretches(pack, limits, fewest);
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
    if (packsOf(sequence, limits, fewest).next().done !== true) return true;
  }
  return false;
}

/** Whether a run may be packed: it is not the last, and less than half a segment. */
function isSmall(run: Run, { end }: Sequence, { bytes }: PackingLimits): boolean {
  return run.last < end && packedSize(run) < bytes / 2;
}

/** Consecutive runs that hold few operations each, and enough together. */
function looseStretches(runs: readonly Run[], limits: PackingLimits, fewest: number): Run[][] {
  return stretchesOf(runs, (run) => isLoose(run, limits))
    .flatMap((some) => (operationsOf(some) < limits.operations ? doubling(some) : [some]))
    .filter((some) => some.length > 1 && operationsOf(some) >= fewest);
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

/** The runs that pass a test, in lists of consecutive ones. */
function stretchesOf(runs: Iterable<Run>, passes: (run: Run) => boolean): Run[][] {
  const stretches: Run[][] = [];
  let next: number | undefined;
  for (const run of runs) {
    if (!passes(run)) {
      next = undefined;
      continue;
    }
    if (run.first !== next) stretches.push([]);
    stretches.at(-1)?.push(run);
    next = run.last + 1;
  }
  return stretches;
}

function packedSize(run: Run): number {
  return run.size + (run.first === run.last ? LINE_OVERHEAD : 0);
}
