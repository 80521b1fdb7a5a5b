/** What compaction asks of storage, and what it leaves: its own policy, on a client of the model. */

import { LIMITS, planSegments } from "../../oplog/compaction/planner.ts";
import { type Run, Sequence } from "../../oplog/sequence.ts";
import { formatLine } from "../../protocol/ndjson.ts";

/** A client whose operations came one by one, each with time enough to be packed. */
export interface PackedClient {
  /** How many objects it has, on average over as many operations as it takes to pack some. */
  readonly objects: number;
  /** Their bytes. */
  readonly stored: number;
  /** What packing them has asked for until now. Each object is read from storage, cached or not. */
  readonly put: number;
  readonly get: number;
  readonly delete: number;
  readonly sentByGet: number;
}

/** Appends so many operations, and packs what is worth it after each of them. */
export function packedClient(operations: number, payloadBytes: number): PackedClient {
  let sequence = new Sequence();
  const done = { put: 0, get: 0, delete: 0, sentByGet: 0 };
  const counts: number[] = [];
  for (let index = 0; index < operations; index++) {
    sequence.add({ first: index, last: index, md5: "", size: payloadBytes });
    for (const pack of planSegments(sequence, LIMITS)) {
      done.put++;
      done.get += pack.length;
      done.delete += pack.length;
      done.sentByGet += bytesOf(pack);
      sequence = packed(sequence, pack);
    }
    counts.push(sequence.runs.length);
  }
  const lately = counts.slice(-LIMITS.operations);
  const objects =
    operations <= LIMITS.operations
      ? operations
      : lately.reduce((sum, count) => sum + count, 0) / lately.length;
  return { objects, stored: bytesOf(sequence.runs), ...done };
}

/** The sequence with one segment in the place of some runs. */
function packed({ runs }: Sequence, pack: readonly Run[]): Sequence {
  const after = new Sequence();
  for (const run of runs) {
    if (run === pack.at(-1)) after.add(segmentOf(pack));
    else if (!pack.includes(run)) after.add(run);
  }
  return after;
}

function segmentOf(pack: readonly Run[]): Run {
  const [first, last] = [pack.at(0)?.first ?? 0, pack.at(-1)?.last ?? 0];
  const size = pack.reduce((sum, run) => sum + linesOf(run), 0);
  return { first, last, md5: "", size };
}

/** The bytes of a run's lines: a single operation is stored without the line around it. */
function linesOf({ first, last, size }: Run): number {
  return first === last ? size + formatLine("0".repeat(36), first, "").length : size;
}

function bytesOf(runs: readonly Run[]): number {
  return runs.reduce((sum, { size }) => sum + size, 0);
}
