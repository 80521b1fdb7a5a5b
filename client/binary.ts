/** Numbers and parts in bytes. */
import { fromBase64url } from "../protocol/base64.ts";
import type { Bytes } from "../protocol/bytes.ts";

/** Bytes are not what they have to be. */
export class Malformed extends Error {
  override name = "Malformed";
}

/** Reads bytes from the first to the last. Its methods throw `Malformed` where there are too few. */
export class Input {
  readonly #bytes: Bytes;
  #at = 0;

  constructor(bytes: Bytes) {
    this.#bytes = bytes;
  }

  /** How many bytes are left. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  /** Takes bytes, as a copy. */
  take(length: number): Bytes {
    const start = this.#advance(length);
    return this.#bytes.slice(start, this.#at);
  }

  /** Takes a whole number, the highest byte first. */
  number(length: number): number {
    let number = 0;
    for (let at = this.#advance(length); at < this.#at; at++) {
      number = number * 256 + (this.#bytes[at] ?? 0);
    }
    return number;
  }

  /** Takes a length as LEB128. */
  length(): number {
    let length = 0;
    for (let i = 0; i < MAX_LENGTH_BYTES; i++) {
      const byte = this.number(1);
      length += (byte & 127) << (7 * i);
      if (byte < 128) return length;
    }
    throw new Malformed("a length is too long");
  }

  /** Returns where the bytes begin that are taken. */
  #advance(length: number): number {
    const start = this.#at;
    if (length > this.left) throw new Malformed("the content is cut");
    this.#at += length;
    return start;
  }
}

/** The bytes of a text in base64url. Throws a `TypeError` for another one, and for another length. */
export function base64Bytes(text: string, length?: number): Bytes {
  const bytes = fromBase64url(text);
  if (bytes !== undefined && bytes.length === (length ?? bytes.length)) return bytes;
  throw new TypeError(`this is not base64url of ${length ?? "any"} bytes`);
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

/** The most bytes of a length: it is below 2^28. */
const MAX_LENGTH_BYTES = 4;

/** A length as LEB128: seven bits a byte, the lowest first, and the highest bit where more follow. */
export function lengthBytes(length: number): Bytes {
  const bytes = new Uint8Array(MAX_LENGTH_BYTES);
  return bytes.slice(0, putLength(bytes, 0, length));
}

/** Puts the same into bytes, and returns where it ends. */
export function putLength(bytes: Bytes, start: number, length: number): number {
  let at = start;
  let rest = length;
  for (; rest > 127; rest >>>= 7) bytes[at++] = 128 | (rest & 127);
  bytes[at] = rest;
  return at + 1;
}
