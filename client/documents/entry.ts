/** The entries that carry the updates of documents: docs/documents.md has the format. */
import { type Bytes, concat, textOf, utf8 } from "../../protocol/bytes.ts";

/** The first byte, which no text in UTF-8 has. */
const FORMAT = 0xf8;
/** One byte has the length of a name. */
const MAX_NAME_BYTES = 255;
const HEADER_BYTES = 2;

/** An update of a document, as an entry carries it. */
export interface NamedUpdate {
  readonly name: string;
  readonly update: Bytes;
}

/** The bytes of a name. Throws a `TypeError` or a `RangeError` for one that no document can have. */
export function nameBytes(name: string): Bytes {
  // Programs without types call this as well.
  if (typeof name !== "string" || !name.isWellFormed()) {
    throw new TypeError("the name of a document is no well-formed text");
  }
  const bytes = utf8(name);
  const { length } = bytes;
  if (length === 0 || length > MAX_NAME_BYTES) {
    throw new RangeError(`the name of a document has 1 to ${MAX_NAME_BYTES} bytes, not ${length}`);
  }
  return bytes;
}

/** The entry of an update. */
export function entryOf(name: Bytes, update: Uint8Array): Bytes {
  return concat(Uint8Array.of(FORMAT, name.length), name, update);
}

/** What an entry carries; `undefined` for one that is no update of a document. */
export function updateOf(entry: Bytes): NamedUpdate | undefined {
  const [format, length = 0] = entry;
  const end = HEADER_BYTES + length;
  if (format !== FORMAT || length === 0 || entry.length < end) return undefined;
  const name = nameIn(entry.subarray(HEADER_BYTES, end));
  return name === undefined ? undefined : { name, update: entry.subarray(end) };
}

function nameIn(bytes: Bytes): string | undefined {
  try {
    return textOf(bytes);
  } catch {
    // Whatever a decoder throws here, the bytes are no UTF-8.
    return undefined;
  }
}
