/** Numbers and parts in bytes. */
import type { Bytes } from "../protocol/bytes.ts";

/** Bytes are not what they have to be. */
export class Malformed extends Error {
  override name = "Malformed";
}

/**
 * Returns a function that takes the next bytes, or all that are left. It throws `Malformed`
 * where there are fewer.
 */
export function takingFrom(bytes: Bytes): (length?: number) => Bytes {
  let start = 0;
  return (length = bytes.length - start) => {
    const part = bytes.subarray(start, start + length);
    if (part.length < length) throw new Malformed("the content is cut");
    start += length;
    return part;
  };
}

/** A whole number as bytes, the highest first. */
export function numberBytes(number: number, length: number): Bytes {
  const bytes = new Uint8Array(length);
  let rest = number;
  for (let at = length - 1; rest > 0; at--) {
    bytes[at] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return bytes;
}

/** The whole number that bytes are, the highest first. */
export function numberOf(bytes: Bytes): number {
  let number = 0;
  for (const byte of bytes) number = number * 256 + byte;
  return number;
}
