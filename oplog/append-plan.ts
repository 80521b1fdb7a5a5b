/** Operations that a client sends: what of them is stored already, and what is to be stored. */

import { utf8 } from "../protocol/bytes.ts";
import { formatLine } from "../protocol/ndjson.ts";
import { md5Of, ObjectMissing } from "../storage/driver.ts";
import type { EntryReader } from "./entries.ts";
import type { Listing } from "./listing.ts";
import type { Fingerprint, ObjectName } from "./names.ts";
import { encodeSegment } from "./segment.ts";
import { isOverlap, type Run, type Span } from "./sequence.ts";

/** Refused: the operation's index is beyond the next one of its client. */
export class OperationGap extends Error {
  override name = "OperationGap";
  readonly nextIndex: number;
  constructor(nextIndex: number) {
    super(`the next operation of this client has the index ${nextIndex}`);
    this.nextIndex = nextIndex;
  }
}

/** Refused: another payload is stored under the operation's index. */
export class OperationConflict extends Error {
  override name = "OperationConflict";
  readonly index: number;
  constructor(index: number) {
    super(`operation ${index} of this client is stored already, with another payload`);
    this.index = index;
  }
}

/** A larger batch is stored as several segments: whoever reads one holds it in memory whole. */
const SEGMENT_BYTES = 4 * 1024 * 1024;

/** Operations that a client has sent, the first under the index `first`. */
export interface Batch extends Span {
  readonly user: Fingerprint;
  readonly client: string;
  readonly payloads: readonly string[];
}

/** An object that is to be stored. */
export interface NewObject {
  readonly name: ObjectName;
  readonly body: Uint8Array;
}

/**
 * The objects of a batch that a listing lacks, in the order in which they are to be stored; or why
 * they may not be appended to it. `ObjectMissing` says that the listing is out of date.
 */
export async function missingFrom(
  listing: Listing,
  batch: Batch,
  parts: EntryReader,
): Promise<NewObject[] | OperationGap | OperationConflict | ObjectMissing> {
  const sequence = listing.clients.get(batch.client);
  const next = sequence?.next ?? 0;
  const stored: Stored = [];
  try {
    for (const piece of sequence?.within(batch) ?? []) {
      for (const run of isOverlap(piece) ? piece.runs : [piece]) {
        await compareWith(run, batch, parts, stored);
      }
    }
  } catch (error) {
    if (error instanceof ObjectMissing) return error;
    throw error;
  }
  const missing = missingSpans(batch, next, stored);
  if (missing instanceof Error) return missing;
  return missing.flatMap((span) => segmentsOf(batch, span)).map((span) => objectOf(batch, span));
}

/** For each operation of a batch whether it is stored with the same payload; unset where none is. */
type Stored = (boolean | undefined)[];

/** Notes for each operation of a batch that a run holds whether it has the same payload there. */
async function compareWith(
  run: Run,
  batch: Batch,
  parts: EntryReader,
  stored: Stored,
): Promise<void> {
  const { user, client, payloads } = batch;
  const first = Math.max(run.first, batch.first);
  const last = Math.min(run.last, batch.last);
  const note = (index: number, same: boolean) => {
    const i = index - batch.first;
    stored[i] = same || stored[i] === true;
  };
  const payloadOf = (index: number) => payloads[index - batch.first] ?? "";
  if (run.first === run.last) {
    note(first, md5Of(utf8(payloadOf(first))) === run.md5);
    return;
  }
  if (first === run.first && last === run.last) {
    // A batch sent again: the name tells, and storage need not be asked.
    const body = encodeSegment(client, first, within(batch, { first, last }));
    if (md5Of(body) === run.md5) {
      for (let index = first; index <= last; index++) note(index, true);
      return;
    }
  }
  const segment = await parts.segment(user, client, run);
  for (let index = first; index <= last; index++) {
    const line = utf8(formatLine(client, index, payloadOf(index)));
    note(index, Buffer.compare(segment.lines(index, index), line) === 0);
  }
}

/** What of a batch is not stored; or why it is refused, by the next index of its client. */
function missingSpans(
  batch: Batch,
  nextIndex: number,
  stored: Stored,
): Span[] | OperationGap | OperationConflict {
  let next = nextIndex;
  const missing: { first: number; last: number }[] = [];
  for (let index = batch.first; index <= batch.last; index++) {
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
function segmentsOf(batch: Batch, { first, last }: Span): Span[] {
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

/** Operations of a batch as they are stored: one as an object of its own, several as a segment. */
function objectOf(batch: Batch, { first, last }: Span): NewObject {
  const { user, client } = batch;
  const payloads = within(batch, { first, last });
  const body = first === last ? utf8(payloads.join("")) : encodeSegment(client, first, payloads);
  return { name: { user, client, first, last, md5: md5Of(body) }, body };
}

/** The payloads of a span of a batch. */
function within(batch: Batch, { first, last }: Span): readonly string[] {
  return batch.payloads.slice(first - batch.first, last - batch.first + 1);
}
