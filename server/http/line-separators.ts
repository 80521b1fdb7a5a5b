/**
 * The characters besides the line feed at which readers of lines may split: U+0085, U+2028, U+2029.
 * They are escaped on their way out and not when they are stored: what is stored keeps its bytes and
 * its MD5, and a retry is compared with it.
 */
import { isAscii } from "node:buffer";
import type { Bytes } from "../../protocol/bytes.ts";

const SEPARATORS = ["\u0085", "\u2028", "\u2029"].map((character) => Buffer.from(character));

/** Whether lines in UTF-8 have one of these characters. Ciphertext in base64 is ASCII: that is quick to see. */
export function hasLineSeparators(lines: Uint8Array): boolean {
  if (isAscii(lines)) return false;
  const bytes = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength);
  return SEPARATORS.some((separator) => bytes.includes(separator));
}

/** Lines with these characters escaped; the lines themselves if they have none. */
export function escapeLineSeparators(lines: Bytes): Bytes {
  if (!hasLineSeparators(lines)) return lines;
  const text = Buffer.from(lines.buffer, lines.byteOffset, lines.byteLength).toString();
  const escaped = text.replace(
    /[\u0085\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return new Uint8Array(Buffer.from(escaped));
}

/** Where UTF-8 can be cut: at a length, or as far before it as a character begins. */
export function characterEnd(bytes: Uint8Array, length: number): number {
  let end = length;
  // A character has four bytes at most: what has more of these is not UTF-8.
  while (end > length - 3 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return end;
}
