/** The requests of compaction, and the objects it leaves: its real planner on a modelled client. */
import { LIMITS, planSegments } from "../../oplog/compaction/planner.ts";
import { type Run, Sequence } from "../../oplog/sequence.ts";
import { formatLine } from "../../protocol/ndjson.ts";

/** A client whose operations came one by one, with time between them for compaction. */
export interface CompactedClient {
  /** The number of objects: the average over as many operations as a segment takes. */
  readonly objects: number;
  /** Their bytes. */
  readonly stored: number;
  /** Requests of compaction so far, as if no object were in the payload cache. */
  readonly put: number;
  readonly get: number;
  readonly delete: number;
  readonly sentByGet: number;
}

/** Appends operations, and compacts after each of them. */
export function compactedClient(operations: number, payloadBytes: number): CompactedClient {
  let sequence = new Sequence();
  const done = { put: 0, get: 0, delete: 0, sentByGet: 0 };
  const counts: number[] = [];
  for (let index = 0; index < operations; index++) {
    sequence.add({ first: index, last: index, md5: "", size: payloadBytes });
    for (const runs of planSegments(sequence, LIMITS)) {
      done.put++;
      done.get += runs.length;
      done.delete += runs.length;
      done.sentByGet += bytesOf(runs);
      sequence = replaceBySegment(sequence, runs);
    }
    counts.push(sequence.runs.length);
  }
  const recent = counts.slice(-LIMITS.operations);
  const objects =
    operations <= LIMITS.operations
      ? operations
      : recent.reduce((sum, count) => sum + count, 0) / recent.length;
  return { objects, stored: bytesOf(sequence.runs), ...done };
}

function replaceBySegment({ runs }: Sequence, packed: readonly Run[]): Sequence {
  const after = new Sequence();
  for (const run of runs) {
    if (run === packed.at(-1)) after.add(segmentOf(packed));
    else if (!packed.includes(run)) after.add(run);
  }
  return after;
}

function segmentOf(runs: readonly Run[]): Run {
  const [first, last] = [runs.at(0)?.first ?? 0, runs.at(-1)?.last ?? 0];
  const size = runs.reduce((sum, run) => sum + bytesOfLines(run), 0);
  return { first, last, md5: "", size };
}

/** The bytes of a run in a segment. A single operation is stored without the line around it. */
function bytesOfLines({ first, last, size }: Run): number {
  return first === last ? size + formatLine("0".repeat(36), first, "").length : size;
}

function bytesOf(runs: readonly Run[]): number {
  return runs.reduce((sum, { size }) => sum + size, 0);
}
