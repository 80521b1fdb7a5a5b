/** What is read and sent at once of a reading. */

import type { Covers } from "./batch.ts";
import { type ClientEntry, linesIn } from "./entries.ts";
import type { ReadPlan, Wanted, WantedSnapshot } from "./read-plan.ts";

/** Operations that were listed, and promised to a reader, are no longer in storage. */
export class OperationsLost extends Error {
  override name = "OperationsLost";
}

/** Operations that were promised to a reader were trimmed meanwhile: it needs a snapshot. */
export class OperationsTrimmed extends OperationsLost {
  override name = "OperationsTrimmed";
}

/** Entries that are read side by side, and sent as one: of each client in order. */
export interface Chunk {
  readonly entries: ClientEntry[];
  /** Of the objects they are read from: an object is read whole, whatever is wanted of it. */
  bytes: number;
  /** Of the operation of a snapshot, which is a chunk by itself. */
  readonly covers?: Covers;
}

/** Small objects are read and sent in chunks: each by itself would cost more than its bytes. */
const CHUNK = { entries: 32, bytes: 64 * 1024 };

/** All that is wanted, in order. Throws `OperationsLost` where an operation is missing. */
export function* chunksOf({
  snapshot,
  wanted,
}: Pick<ReadPlan, "snapshot" | "wanted">): Generator<Chunk, void, void> {
  if (snapshot !== undefined) yield snapshotChunk(snapshot);
  let chunk: Chunk = { entries: [], bytes: 0 };
  for (const { client, first, last, entries } of wanted) {
    let next = first;
    for (const entry of entries) {
      if (entry.first !== next) throw lost(client, next);
      const bytes = bytesOf({ client, entry });
      const full = chunk.entries.length === CHUNK.entries || chunk.bytes + bytes > CHUNK.bytes;
      if (full && chunk.entries.length > 0) {
        yield chunk;
        chunk = { entries: [], bytes: 0 };
      }
      chunk.entries.push({ client, entry });
      chunk.bytes += bytes;
      next = entry.last + 1;
    }
    if (next <= last) throw lost(client, next);
  }
  if (chunk.entries.length > 0) yield chunk;
}

/** How many lines a chunk has. */
export function linesOfChunk({ entries }: Chunk): number {
  return entries.reduce((sum, { entry }) => sum + linesIn(entry), 0);
}

/** What is still wanted once `sent`, and so all that is wanted before it, was sent. */
export function remaining(wanted: readonly Wanted[], sent: Chunk | undefined): readonly Wanted[] {
  const end = sent?.covers === undefined ? sent?.entries.at(-1) : undefined;
  const at = wanted.findIndex(({ client }) => client === end?.client);
  if (end === undefined || at === -1) return wanted;
  return wanted
    .slice(at)
    .map((span) => (span.client === end.client ? { ...span, first: end.entry.last + 1 } : span))
    .filter(({ first, last }) => first <= last);
}

function snapshotChunk({ client, first, covers, entries: found }: WantedSnapshot): Chunk {
  const entries = Array.from(found, (entry) => ({ client, entry }));
  if (entries.length === 0) throw lost(client, first);
  return { entries, bytes: entries.reduce((sum, entry) => sum + bytesOf(entry), 0), covers };
}

function bytesOf({ entry }: ClientEntry): number {
  return entry.runs.reduce((sum, { size }) => sum + size, 0);
}

function lost(client: string, index: number): OperationsLost {
  return new OperationsLost(`operation ${index} of client ${client} is no longer in storage`);
}
