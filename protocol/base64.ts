/** Base64 and base64url (RFC 4648), by the runtime where it has them. */
import type { Bytes } from "./bytes.ts";

/** `Uint8Array` of ECMAScript 2026, which Node 20 to 24 lack. */
interface NativeDecoder {
  readonly BYTES_PER_ELEMENT: number;
  readonly fromBase64?: (text: string, options: { readonly alphabet: "base64url" }) => Bytes;
}

interface NativeEncoder {
  readonly length: number;
  readonly toBase64?: (options: {
    readonly alphabet: "base64url";
    readonly omitPadding: true;
  }) => string;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const CODES = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
/** The value of each digit, by its code. */
const DIGITS = Uint8Array.from({ length: 128 }, (_, code) => CODES.indexOf(code));

const decoder = new TextDecoder();

/** Base64url without padding (RFC 4648, section 5). */
export function toBase64url(bytes: Uint8Array): string {
  const native: NativeEncoder = bytes;
  return native.toBase64?.({ alphabet: "base64url", omitPadding: true }) ?? encode(bytes);
}

/** Base64 with padding (RFC 4648, section 4), as header fields and PEM use it. */
export function toBase64(bytes: Uint8Array): string {
  const text = toBase64url(bytes).replaceAll("-", "+").replaceAll("_", "/");
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}

/**
 * Decodes base64url without padding; `undefined` for any other text. Unused bits of the last
 * character must be zero, so that no two texts decode to the same bytes.
 */
export function fromBase64url(text: string): Bytes | undefined {
  const native: NativeDecoder = Uint8Array;
  if (native.fromBase64 === undefined) return decode(text);
  return isCanonical(text) ? native.fromBase64(text, { alphabet: "base64url" }) : undefined;
}

/** Native decoders ignore white space, and the unused bits of a last group of two or three digits. */
function isCanonical(text: string): boolean {
  const last = text.slice(text.length - (text.length % 4));
  return /^[\w-]*$/.test(text) && /^(.[AQgw]|..[AEIMQUYcgkosw048])?$/.test(last);
}

/** `toBase64url` for runtimes without a native encoder. */
export function encode(bytes: Uint8Array): string {
  const codes = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const bits = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    // A write beyond the end does nothing: the last group may have two or three digits.
    codes[at++] = CODES[bits >>> 18] ?? 0;
    codes[at++] = CODES[(bits >>> 12) & 63] ?? 0;
    codes[at++] = CODES[(bits >>> 6) & 63] ?? 0;
    codes[at++] = CODES[bits & 63] ?? 0;
  }
  return decoder.decode(codes);
}

/** `fromBase64url` for runtimes without a native decoder. */
export function decode(text: string): Bytes | undefined {
  if (!isCanonical(text)) return undefined;
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  const rest = text.length % 4;
  let at = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    // The codes of digits are below 128. The mask says so to the compiler.
    bits = (bits << 6) | (DIGITS[text.charCodeAt(i) & 127] ?? 0);
    if (i % 4 === 3) {
      bytes[at++] = bits >>> 16;
      bytes[at++] = bits >>> 8;
      bytes[at++] = bits;
    }
  }
  if (rest === 2) bytes[at] = bits >>> 4;
  if (rest === 3) {
    bytes[at] = bits >>> 10;
    bytes[at + 1] = bits >>> 2;
  }
  return bytes;
}
