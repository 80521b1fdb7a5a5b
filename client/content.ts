/** What is encrypted in an envelope: the entries of the app, and what a client has to tell others. */
import { type Bytes, concat } from "../protocol/bytes.ts";
import { isOperationIndex } from "../protocol/ids.ts";
import { Input, Malformed, putLength } from "./binary.ts";
import { continuesBytes, takeContinues } from "./continues-content.ts";
import { HEAD_BYTES, headBytes, takeHead } from "./name-content.ts";
import { type SnapshotContent, snapshotBytes, takeSnapshot } from "./snapshot-content.ts";
import type { Continues, Head } from "./types.ts";

/** The bits of the first byte: what comes before the entries. */
const CONTINUES = 1;
const HEADS = 2;

/** One byte counts them. */
const MAX_HEADS = 255;
/** The most that one operation of this client tells; the next one tells the rest. */
export const HEADS_AT_ONCE = 64;
/** The length of an entry has at most four bytes. */
export const MAX_ENTRY_BYTES = 2 ** 28 - 1;

/** What an operation carries. */
export interface Content {
  readonly entries: readonly Bytes[];
  /** Which client ids its own one continues; only in the first operation of a client, and in a snapshot. */
  readonly continues?: readonly Continues[] | undefined;
  /** What its device has received of others since the operation before; at most 255. */
  readonly heads?: readonly Head[] | undefined;
  /** In a snapshot, which has no entries. */
  readonly snapshot?: SnapshotContent | undefined;
}

/** The most bytes of content that has one entry of a length, and continues no other client id. */
export function contentLength(entry: number): number {
  return 2 + HEADS_AT_ONCE * HEAD_BYTES + entryLength(entry);
}

/** How much an entry of a length adds to the content. */
export function entryLength(entry: number): number {
  // Seven bits of it a byte, and one byte at least.
  return entry + Math.max(1, Math.ceil((32 - Math.clz32(entry)) / 7));
}

/** The bytes of content. Throws a `RangeError` for more heads than one byte counts. */
export function contentBytes({ entries, continues = [], heads = [], snapshot }: Content): Bytes {
  if (heads.length > MAX_HEADS)
    throw new RangeError(`an operation tells ${MAX_HEADS} heads at most`);
  const has = (continues.length > 0 ? CONTINUES : 0) | (heads.length > 0 ? HEADS : 0);
  const before = concat(
    Uint8Array.of(has),
    ...(has & CONTINUES ? [continuesBytes(continues)] : []),
    ...(has & HEADS ? [Uint8Array.of(heads.length), ...heads.map(headBytes)] : []),
  );
  if (snapshot !== undefined) return concat(before, snapshotBytes(snapshot));
  const whole = entries.reduce((sum, { length }) => sum + entryLength(length), before.length);
  const bytes = new Uint8Array(whole);
  bytes.set(before);
  let at = before.length;
  for (const entry of entries) {
    at = putLength(bytes, at, entry.length);
    bytes.set(entry, at);
    at += entry.length;
  }
  return bytes;
}

/**
 * The content that bytes are. Throws `Malformed` where they are cut, or say what is not known.
 *
 * @param modulus of a snapshot: the length of a wrapped secret
 */
export function contentOf(bytes: Bytes, modulus?: number): Content {
  const input = new Input(bytes);
  const has = input.number(1);
  if (has > (CONTINUES | HEADS)) throw new Malformed("the content has an unknown part");
  const continues = has & CONTINUES ? takeContinues(input) : [];
  const heads: Head[] = [];
  for (let left = has & HEADS ? input.number(1) : 0; left > 0; left--) {
    const head = takeHead(input);
    // No operation has another index, and no store keeps one.
    if (isOperationIndex(head.index)) heads.push(head);
  }
  const snapshot = modulus === undefined ? undefined : takeSnapshot(input, modulus);
  const entries: Bytes[] = [];
  // Copies, because an app may keep one of many.
  while (input.left > 0) entries.push(input.take(input.length()));
  return {
    entries,
    ...(snapshot && { snapshot }),
    ...(has & CONTINUES && { continues }),
    ...(has & HEADS && { heads }),
  };
}
