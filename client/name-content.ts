/** The names and tags of operations, as bytes in what is encrypted. */
import { toBase64url } from "../protocol/base64.ts";
import { type Bytes, concat, uuidBytes, uuidOf } from "../protocol/bytes.ts";
import { type Input, numberBytes } from "./binary.ts";
import type { OperationName } from "./types.ts";

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

/** As in a cursor. Throws `Malformed` where it is cut. */
export function takeTag(input: Input): string {
  return toBase64url(input.take(TAG_BYTES));
}
