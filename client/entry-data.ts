/** The bytes of entries, as an app gives them. */
import { type Bytes, utf8 } from "../protocol/bytes.ts";
import { MAX_ENTRY_BYTES } from "./content.ts";
import { sealedLength } from "./envelope.ts";
import type { Identity } from "./types.ts";

/**
 * The bytes of entries. Throws a `TypeError` for a text with a lone surrogate, of which decoding would not
 * return the same, and a `RangeError` for data that no request can carry.
 *
 * @param maxBody what the server accepts; `Infinity` as long as that is not known
 */
export function entryData(
  data: readonly (string | Bytes)[],
  identity: Identity,
  maxBody: number,
): Bytes[] {
  // A copy: what waits is sealed later, when the app may have used its bytes for something else.
  const entries = data.map((one) => (typeof one === "string" ? utf8Of(one) : one.slice()));
  const longest = entries.reduce((most, { length }) => Math.max(most, length), 0);
  if (longest > MAX_ENTRY_BYTES) {
    throw new RangeError(`${longest} bytes are too large: an entry has ${MAX_ENTRY_BYTES} at most`);
  }
  if (sealedLength(identity, longest) > maxBody) {
    throw new RangeError(`${longest} bytes are too large: the server takes ${maxBody} encrypted`);
  }
  return entries;
}

function utf8Of(text: string): Bytes {
  if (!text.isWellFormed()) throw new TypeError("the text has a lone surrogate");
  return utf8(text);
}
