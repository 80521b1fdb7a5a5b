/**
 * Entries that wait to be sent together. While an operation is on its way, what is appended is written
 * down at once, sealed as operations that are never sent: drafts. When the way is free, their
 * entries become one operation, which takes their place.
 */
import type { Bytes } from "../protocol/bytes.ts";
import { entryLength } from "./content.ts";

/** The most bytes of entries in an operation, unless one entry alone has more. */
const MAX_BYTES = 256 * 1024;
/** As long as the server has not said how much it accepts. */
const MAX_BYTES_UNKNOWN = 24 * 1024;

/**
 * The most bytes of entries in an operation. Encrypted, they fit into half of a request.
 *
 * @param maxBody what the server accepts; `Infinity` as long as that is not known
 */
export function bytesPerOperation(maxBody: number): number {
  return maxBody === Infinity ? MAX_BYTES_UNKNOWN : Math.min(MAX_BYTES, (maxBody * 3) / 8);
}

/** The bytes that entries have in an operation. */
export function bytesOf(entries: readonly Bytes[]): number {
  return entries.reduce((sum, { length }) => sum + entryLength(length), 0);
}

/**
 * Divides entries among operations. The first ones join those that wait, as far as there is room.
 *
 * @param waiting the bytes of the entries that wait
 */
export function divide(waiting: number, entries: readonly Bytes[], limit: number): Bytes[][] {
  let last: Bytes[] = [];
  let bytes = waiting;
  const operations = [last];
  for (const entry of entries) {
    const length = entryLength(entry.length);
    if (bytes > 0 && bytes + length > limit) {
      last = [];
      bytes = 0;
      operations.push(last);
    }
    last.push(entry);
    bytes += length;
  }
  return operations;
}
