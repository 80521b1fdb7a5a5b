/** The bytes of an entry, as an app gives them. */
import { type Bytes, utf8 } from "../protocol/bytes.ts";
import { MAX_ENTRY_BYTES } from "./content.ts";
import { sealedLength } from "./envelope.ts";
import type { Identity } from "./types.ts";

/**
 * The bytes of entries. Throws a `TypeError` for a text of which decoding would not return the same, and
 * a `RangeError` for data that no request can carry.
 *
 * @param maxBody what the server accepts; `Infinity` as long as that is not known
 */
export function entryData(
  data: readonly (string | Bytes)[],
  identity: Identity,
  maxBody: number,
): Bytes[] {
  const entries = data.map((one) => (typeof one === "string" ? utf8Of(one) : one));
  for (const { length } of entries) {
    if (length > MAX_ENTRY_BYTES) {
      throw new RangeError(
        `${length} bytes are too large: an entry has ${MAX_ENTRY_BYTES} at most`,
      );
    }
    if (sealedLength(identity, length) <= maxBody) continue;
    throw new RangeError(`${length} bytes are too large: the server takes ${maxBody} encrypted`);
  }
  return entries;
}

/** The UTF-8 bytes of a text. Throws a `TypeError` where decoding would not return the same text. */
function utf8Of(text: string): Bytes {
  if (!text.isWellFormed()) throw new TypeError("the text has a lone surrogate");
  return utf8(text);
}
