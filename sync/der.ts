/**
 * Reads DER (X.690) strictly: a length and an integer have exactly one encoding, their shortest.
 * What follows an element is the caller's to check.
 */

export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const SEQUENCE = 0x30;

/** The bytes are not the DER encoding of what was expected. */
export class MalformedDer extends Error {
  override name = "MalformedDer";
}

/** Where the contents of an element lie. */
export interface Element {
  readonly start: number;
  readonly end: number;
}

/** The contents of an integer above zero. */
export interface PositiveInteger extends Element {
  /** Its length without leading zero bits. */
  readonly bits: number;
  readonly odd: boolean;
}

/**
 * The element at an offset. Throws `MalformedDer`.
 *
 * @param mustEndAt where the element has to end: the end of what encloses it as its last
 */
export function readElement(der: Buffer, at: number, tag: number, mustEndAt?: number): Element {
  const head = der[at + 1];
  if (der[at] !== tag || head === undefined) throw new MalformedDer();
  const lengthBytes = head < 0x80 ? 0 : head - 0x80;
  // Two bytes of length are ample for a key of 8192 bits.
  if (lengthBytes > 2 || at + 2 + lengthBytes > der.length) throw new MalformedDer();
  const length = lengthBytes === 0 ? head : der.readUIntBE(at + 2, lengthBytes);
  const shortest = length < 0x80 ? 0 : length < 0x100 ? 1 : 2;
  const start = at + 2 + lengthBytes;
  const end = start + length;
  if (lengthBytes !== shortest || end > (mustEndAt ?? der.length)) throw new MalformedDer();
  if (mustEndAt !== undefined && end !== mustEndAt) throw new MalformedDer();
  return { start, end };
}

/** The integer at an offset. Throws `MalformedDer`. */
export function readPositiveInteger(der: Buffer, at: number): PositiveInteger {
  const { start, end } = readElement(der, at, INTEGER);
  const lead = der[start];
  const second = der[start + 1] ?? 0;
  const last = der[end - 1] ?? 0;
  // A set top bit would make it negative; a leading zero byte is there only to prevent that.
  if (end === start || lead === undefined || lead >= 0x80) throw new MalformedDer();
  if (lead === 0 && second < 0x80) throw new MalformedDer();
  const first = lead === 0 ? start + 1 : start;
  const bits = (end - first) * 8 - (Math.clz32(der[first] ?? 0) - 24);
  return { start, end, bits, odd: last % 2 === 1 };
}
