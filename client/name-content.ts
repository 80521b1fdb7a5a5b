/** The names and tags of operations, as bytes in what is encrypted. */
import { fromBase64url, toBase64url } from "../protocol/base64.ts";
import { type Bytes, concat, uuidBytes, uuidOf } from "../protocol/bytes.ts";
import { type Input, numberBytes } from "./binary.ts";
import type { Head, OperationName } from "./types.ts";

const UUID_BYTES = 16;
const INDEX_BYTES = 8;
const TAG_BYTES = 16;
/** The bytes of a name and a tag. */
export const HEAD_BYTES = UUID_BYTES + INDEX_BYTES + TAG_BYTES;

export function nameBytes({ client, index }: OperationName): Bytes {
  return concat(uuidBytes(client), numberBytes(index, INDEX_BYTES));
}

/** Throws `Malformed` where it is cut. The index can be one that no operation has. */
export function takeName(input: Input): OperationName {
  return { client: uuidOf(input.take(UUID_BYTES)), index: input.number(INDEX_BYTES) };
}

/** The bytes of a name and of a tag. */
export function headBytes(head: Head): Bytes {
  return concat(nameBytes(head), bytesOf(head.tag));
}

/** Throws `Malformed` where it is cut. */
export function takeHead(input: Input): Head {
  return { ...takeName(input), tag: takeTag(input) };
}

/** The bytes of a tag, or of another text in base64url. */
export function bytesOf(text: string): Bytes {
  return fromBase64url(text) ?? new Uint8Array(0);
}

/** As in a cursor. Throws `Malformed` where it is cut. */
export function takeTag(input: Input): string {
  return toBase64url(input.take(TAG_BYTES));
}
