/** Plans an append: which of its operations are stored already, and as which objects the others are. */

import { utf8 } from "../protocol/bytes.ts";
import { formatLine } from "../protocol/ndjson.ts";
import { md5Of, ObjectMissing } from "../storage/driver.ts";
import type { Batch } from "./batch.ts";
import { segmentChecksums } from "./checksums.ts";
import type { EntryReader } from "./entries.ts";
import type { Listing } from "./listing.ts";
import type { ObjectName } from "./names.ts";
import { ObjectDamaged } from "./object-cache.ts";
import { encodeSegment } from "./segment.ts";
import { isOverlap, type Run, type Sequence, type Span } from "./sequence.ts";

/** Refused: the operation's index is above the next one of its client. */
export class OperationGap extends Error {
  override name = "OperationGap";
  readonly code = "operation-gap";
  readonly members: { readonly next_index: number };
  constructor(nextIndex: number) {
    super(`the next operation of this client has the index ${nextIndex}`);
    this.members = { next_index: nextIndex };
  }
}

/** Refused: another payload is stored under the operation's index. */
export class OperationConflict extends Error {
  override name = "OperationConflict";
  readonly code = "operation-conflict";
  readonly members: { readonly operation_index: number };
  constructor(index: number) {
    super(`operation ${index} of this client is already stored with another payload`);
    this.members = { operation_index: index };
  }
}

/** Refused: the operation was trimmed, so what is sent cannot be compared with it. */
export class OperationTrimmed extends Error {
  override name = "OperationTrimmed";
  readonly code = "operation-trimmed";
  readonly members: { readonly next_index: number };
  constructor(index: number, nextIndex: number) {
    super(`operation ${index} of this client was deleted, because snapshots stand for it`);
    this.members = { next_index: nextIndex };
  }
}

/** A larger batch is stored as several segments, because a reader holds a segment in memory whole. */
const SEGMENT_BYTES = 4 * 1024 * 1024;

/** An object that is to be stored. */
export interface NewObject {
  readonly name: ObjectName;
  readonly body: Uint8Array;
}

type Refusal = OperationGap | OperationConflict | OperationTrimmed;

/** The objects to store, or why there are none. */
type Missing = NewObject[] | Refusal | ObjectMissing | ObjectDamaged;

/**
 * The objects of a batch that a listing lacks, in the order in which they are to be stored; or the
 * error to refuse the batch with. `ObjectMissing` and `ObjectDamaged` mean that the listing is out
 * of date: a fresh one lacks the object. A promise only where a part of the batch is stored already.
 */
export function missingObjects(
  listing: Listing,
  batch: Batch,
  entries: EntryReader,
): Missing | Promise<Missing> {
  const sequence = listing.clients.get(batch.client);
  if (sequence !== undefined && batch.first < sequence.base) {
    return new OperationTrimmed(batch.first, sequence.next);
  }
  return sequence === undefined || batch.first > sequence.end
    ? objectsOf(batch, missingSpans(batch, sequence?.next ?? 0, []))
    : comparedMissing(sequence, batch, entries);
}

/** `missingObjects` of a batch of which a part may be stored. */
async function comparedMissing(
  sequence: Sequence,
  batch: Batch,
  entries: EntryReader,
): Promise<Missing> {
  const stored: Matches = [];
  let outdated: ObjectMissing | ObjectDamaged | undefined;
  for (const piece of sequence.within(spanOf(batch))) {
    for (const run of isOverlap(piece) ? piece.runs : [piece]) {
      try {
        await compareWith(run, batch, entries, stored);
      } catch (error) {
        if (error instanceof ObjectMissing) return error;
        if (!(error instanceof ObjectDamaged)) throw error;
        // Continues to the end, so that one pass finds every damaged object.
        outdated = error;
      }
    }
  }
  return outdated ?? objectsOf(batch, missingSpans(batch, sequence.next, stored));
}

/** The objects that hold spans of a batch. */
function objectsOf(batch: Batch, spans: Span[] | Refusal): NewObject[] | Refusal {
  if (spans instanceof Error) return spans;
  const objects: NewObject[] = [];
  for (const span of spans) {
    for (const part of segmentsOf(batch, span)) objects.push(objectOf(batch, part));
  }
  return objects;
}

/** For each operation of a batch: whether the same payload is stored; unset where none is stored. */
type Matches = (boolean | undefined)[];

/** Compares the operations that a run and a batch share, and notes the result in `stored`. */
async function compareWith(
  run: Run,
  batch: Batch,
  entries: EntryReader,
  stored: Matches,
): Promise<void> {
  const { user, client, payloads } = batch;
  const first = Math.max(run.first, batch.first);
  const last = Math.min(run.last, spanOf(batch).last);
  const note = (index: number, same: boolean) => {
    const i = index - batch.first;
    stored[i] = same || stored[i] === true;
  };
  const payloadOf = (index: number) => payloads[index - batch.first] ?? "";
  if (run.first === run.last) {
    const body = utf8(payloadOf(first));
    // Another MD5 is another payload. The same MD5 shows nothing: two payloads can share it.
    note(first, md5Of(body) === run.md5 && isSame(await entries.body(user, client, run), body));
    return;
  }
  const segment = await entries.segment(user, client, run);
  for (let index = first; index <= last; index++) {
    const line = utf8(formatLine(client, index, payloadOf(index)));
    note(index, isSame(segment.lines(index, index), line));
  }
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}

/** The spans of a batch that are not stored; or the error to refuse it with. */
function missingSpans(batch: Batch, nextIndex: number, stored: Matches): Span[] | Refusal {
  const { last } = spanOf(batch);
  // Also where the batch itself is stored: what is missing before it has to be sent again.
  if (batch.first > nextIndex) return new OperationGap(nextIndex);
  let next = nextIndex;
  const missing: { first: number; last: number }[] = [];
  for (let index = batch.first; index <= last; index++) {
    const same = stored[index - batch.first];
    if (same === false) return new OperationConflict(index);
    if (same === undefined) {
      if (index > next) return new OperationGap(next);
      const span = missing.at(-1);
      if (span?.last === index - 1) span.last = index;
      else missing.push({ first: index, last: index });
    }
    if (index === next) next++;
  }
  return missing;
}

/** Cuts a span of a batch where a segment would become too large. */
function segmentsOf(batch: Batch, span: Span): readonly Span[] {
  const { first, last } = span;
  if (first === last) return [span];
  const spans: { first: number; last: number }[] = [];
  let bytes = 0;
  for (let index = first; index <= last; index++) {
    const size = Buffer.byteLength(batch.payloads[index - batch.first] ?? "");
    const span = spans.at(-1);
    if (span === undefined || bytes + size > SEGMENT_BYTES) {
      spans.push({ first: index, last: index });
      bytes = size;
    } else {
      span.last = index;
      bytes += size;
    }
  }
  return spans;
}

/** The object that holds a span of a batch: the payload of a single operation, or a segment. */
function objectOf(batch: Batch, { first, last }: Span): NewObject {
  const { user, client } = batch;
  const payloads = payloadsOf(batch, { first, last });
  const [only] = payloads;
  if (first === last && only !== undefined) {
    const body = utf8(only);
    return { name: { user, client, first, last, md5: md5Of(body) }, body };
  }
  const body = encodeSegment(client, first, payloads);
  return { name: { user, client, first, last, ...segmentChecksums(body) }, body };
}

/** The operations of a batch. */
export function spanOf({ first, payloads }: Batch): Span {
  return { first, last: first + payloads.length - 1 };
}

/** The payloads of a span of a batch. */
function payloadsOf(batch: Batch, { first, last }: Span): readonly string[] {
  return batch.payloads.slice(first - batch.first, last - batch.first + 1);
}
