/** What is encrypted in an envelope: the entries of the app, and what a client has to tell others. */
import { toBase64url } from "../protocol/base64.ts";
import { type Bytes, concat, uuidBytes, uuidOf } from "../protocol/bytes.ts";
import { isOperationIndex } from "../protocol/ids.ts";
import { base64Bytes, Input, lengthBytes, Malformed, numberBytes, putLength } from "./binary.ts";
import type { Continues, Cursor, Head, OperationName } from "./types.ts";

const UUID_BYTES = 16;
const INDEX_BYTES = 8;
const TAG_BYTES = 16;
/** Of how far an operation is from the first of its session. */
const DISTANCE_BYTES = 2;
/** Of the number of tags of a client id that is continued. */
const COUNT_BYTES = 2;
/** Of each of these tags, so that it has 20 characters in base64url. */
const SHORT_TAG_BYTES = 15;

/** The bits of the first byte: what comes before the entries. */
const CONTINUES = 1;
const HEADS = 2;

const HEAD_BYTES = UUID_BYTES + INDEX_BYTES + TAG_BYTES;
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

/** What is in a snapshot in the place of entries. */
export interface SnapshotContent {
  /** The position of each client id but its own one, of which it stands for all that is before it. */
  readonly cursors: readonly Cursor[];
  /** The app's. */
  readonly state: Bytes;
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

function placeBytes({ client, index }: OperationName): Bytes {
  return concat(uuidBytes(client), numberBytes(index, INDEX_BYTES));
}

function takePlace(input: Input): OperationName {
  return { client: uuidOf(input.take(UUID_BYTES)), index: input.number(INDEX_BYTES) };
}

function headBytes(head: Head): Bytes {
  return concat(placeBytes(head), base64Bytes(head.tag, TAG_BYTES));
}

function takeHead(input: Input): Head {
  return { ...takePlace(input), tag: toBase64url(input.take(TAG_BYTES)) };
}

function continuesBytes(continues: readonly Continues[]): Bytes {
  const each = continues.map((one) => {
    const short = base64Bytes(one.tags);
    const count = numberBytes(short.length / SHORT_TAG_BYTES, COUNT_BYTES);
    return concat(placeBytes(one), count, short);
  });
  return concat(Uint8Array.of(continues.length), ...each);
}

function takeContinues(input: Input): Continues[] {
  const continues: Continues[] = [];
  for (let left = input.number(1); left > 0; left--) {
    const place = takePlace(input);
    const tags = toBase64url(input.take(input.number(COUNT_BYTES) * SHORT_TAG_BYTES));
    continues.push({ ...place, tags });
  }
  return continues;
}

function snapshotBytes({ cursors, state }: SnapshotContent): Bytes {
  return concat(lengthBytes(cursors.length), ...cursors.map(cursorBytes), state);
}

/** @param modulus the length of a wrapped secret */
function takeSnapshot(input: Input, modulus: number): SnapshotContent {
  const cursors: Cursor[] = [];
  for (let left = input.length(); left > 0; left--) cursors.push(takeCursor(input, modulus));
  return { cursors, state: input.take(input.left) };
}

function cursorBytes(cursor: Cursor): Bytes {
  const { index, previous, session, continues = [] } = cursor;
  return concat(
    headBytes(cursor),
    base64Bytes(previous, TAG_BYTES),
    numberBytes(index - session.first, DISTANCE_BYTES),
    base64Bytes(session.secret),
    continuesBytes(continues),
  );
}

function takeCursor(input: Input, modulus: number): Cursor {
  const head = takeHead(input);
  const { index } = head;
  const previous = toBase64url(input.take(TAG_BYTES));
  const first = index - input.number(DISTANCE_BYTES);
  const secret = toBase64url(input.take(modulus));
  const continues = takeContinues(input);
  if (!isOperationIndex(index) || first < 0) throw new Malformed("no operation has such a place");
  const cursor = { ...head, previous, session: { first, secret } };
  return continues.length > 0 ? { ...cursor, continues } : cursor;
}
