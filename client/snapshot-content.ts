/** What is encrypted in a snapshot in the place of entries: the state, and the positions that it stands for. */
import { toBase64url } from "../protocol/base64.ts";
import { type Bytes, concat } from "../protocol/bytes.ts";
import { isOperationIndex } from "../protocol/ids.ts";
import { type Input, lengthBytes, Malformed, numberBytes } from "./binary.ts";
import { continuesBytes, takeContinues } from "./continues-content.ts";
import { bytesOf, headBytes, takeHead, takeTag } from "./name-content.ts";
import type { Cursor } from "./types.ts";

const DISTANCE_BYTES = 2;

/** What a snapshot stands for. */
export interface SnapshotContent {
  /** The position of each client id but its own one, of which it stands for all that is before it. */
  readonly cursors: readonly Cursor[];
  /** The app's. */
  readonly state: Bytes;
}

export function snapshotBytes({ cursors, state }: SnapshotContent): Bytes {
  return concat(lengthBytes(cursors.length), ...cursors.map(cursorBytes), state);
}

/** @param modulus the length of a wrapped secret */
export function takeSnapshot(input: Input, modulus: number): SnapshotContent {
  const cursors: Cursor[] = [];
  for (let left = input.length(); left > 0; left--) cursors.push(takeCursor(input, modulus));
  return { cursors, state: input.take(input.left) };
}

function cursorBytes(cursor: Cursor): Bytes {
  const { index, previous, session, continues = [] } = cursor;
  return concat(
    headBytes(cursor),
    bytesOf(previous),
    numberBytes(index - session.first, DISTANCE_BYTES),
    bytesOf(session.secret),
    continuesBytes(continues),
  );
}

function takeCursor(input: Input, modulus: number): Cursor {
  const head = takeHead(input);
  const previous = takeTag(input);
  const first = head.index - input.number(DISTANCE_BYTES);
  const secret = toBase64url(input.take(modulus));
  const continues = takeContinues(input);
  if (!isOperationIndex(head.index) || first < 0)
    throw new Malformed("no operation has such a place");
  const cursor = { ...head, previous, session: { first, secret } };
  return continues.length > 0 ? { ...cursor, continues } : cursor;
}
