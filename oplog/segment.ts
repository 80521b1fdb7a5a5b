/**
 * Segments: objects that hold consecutive operations of one client. The body is NDJSON, byte for
 * byte the lines of a response (except for the escapes of line separators), so that a segment is sent
 * as it is stored.
 */

import { textOf, utf8 } from "../protocol/bytes.ts";
import { formatLines } from "../protocol/ndjson.ts";
import { formatName, type ObjectName } from "./names.ts";
import { ObjectDamaged } from "./object-cache.ts";
import { lengthOf } from "./sequence.ts";

/** A segment has the MD5 in its name, and not the lines that its name promises. */
export class SegmentMalformed extends ObjectDamaged {
  override name = "SegmentMalformed";
  constructor(name: ObjectName, fault: string) {
    super(formatName(name), fault);
  }
}

const LINE_FEED = 0x0a;

/** The body of the segment that holds these payloads, the first under the index `first`. */
export function encodeSegment(client: string, first: number, payloads: readonly string[]) {
  return utf8(formatLines(client, first, payloads));
}

/** The body of a segment, with an index of its lines. */
export class Segment {
  readonly #name: ObjectName;
  readonly #body: Uint8Array;
  /** The offset of each line, and the offset of the end. */
  readonly #starts: number[] = [0];

  /** Throws `SegmentMalformed` unless there are as many lines as the name says. */
  constructor(name: ObjectName, body: Uint8Array) {
    this.#name = name;
    this.#body = body;
    let end = body.indexOf(LINE_FEED);
    while (end !== -1) {
      this.#starts.push(end + 1);
      end = body.indexOf(LINE_FEED, end + 1);
    }
    const lines = this.#starts.length - 1;
    const expected = lengthOf(name);
    if (lines !== expected || this.#starts.at(-1) !== body.byteLength) {
      throw new SegmentMalformed(name, `has ${lines} lines instead of ${expected}`);
    }
  }

  /** The lines of the operations `first` to `last`: a part of the body, not a copy. */
  lines(first: number, last: number): Uint8Array {
    return this.#body.subarray(this.#startOf(first), this.#startOf(last + 1));
  }

  /** The payload of an operation. */
  payload(index: number): string {
    const line: unknown = JSON.parse(textOf(this.lines(index, index)));
    if (typeof line === "object" && line !== null && "payload" in line) {
      if (typeof line.payload === "string") return line.payload;
    }
    throw new SegmentMalformed(this.#name, `has no payload for the operation ${index}`);
  }

  #startOf(index: number): number {
    const start = this.#starts[index - this.#name.first];
    if (start === undefined) throw new RangeError(`the operation ${index} is not in the segment`);
    return start;
  }
}
