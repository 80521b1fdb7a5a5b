/** Numbers and parts in bytes. */
import type { Bytes } from "../protocol/bytes.ts";

/** Bytes are not what they have to be. */
export class Malformed extends Error {
  override name = "Malformed";
}

/** Takes the next bytes, or all that are left. Throws `Malformed` where there are fewer. */
export type Take = (length?: number) => Bytes;

/** Reads bytes from the first to the last. */
export function takingFrom(bytes: Bytes): { readonly take: Take; readonly left: number } {
  let start = 0;
  return {
    take: (length = bytes.length - start) => {
      const part = bytes.subarray(start, start + length);
      if (part.length < length) throw new Malformed("the content is cut");
      start += length;
      return part;
    },
    get left() {
      return bytes.length - start;
    },
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

/** The most bytes of a length: it is below 2^28. */
const MAX_LENGTH_BYTES = 4;

/** A length as LEB128: seven bits a byte, the lowest first, and the highest bit where more follow. */
export function lengthBytes(length: number): Bytes {
  const bytes: number[] = [];
  let rest = length;
  for (; rest > 127; rest >>>= 7) bytes.push(128 | (rest & 127));
  return Uint8Array.of(...bytes, rest);
}

/** The length that comes next. Throws `Malformed` where it has too many bytes. */
export function lengthOf(take: Take): number {
  let length = 0;
  for (let i = 0; i < MAX_LENGTH_BYTES; i++) {
    const byte = numberOf(take(1));
    length += (byte & 127) << (7 * i);
    if (byte < 128) return length;
  }
  throw new Malformed("a length is too long");
}
