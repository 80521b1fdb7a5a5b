/** Bytes and their spellings, the same on every runtime. */

export type Bytes = Uint8Array<ArrayBuffer>;

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const CODES = Uint8Array.from(ALPHABET, (character) => character.charCodeAt(0));
const NO_DIGIT = 255;
const DIGITS = new Uint8Array(256).fill(NO_DIGIT);
for (const [digit, code] of CODES.entries()) DIGITS[code] = digit;

const encoder = new TextEncoder();
// A payload may begin with U+FEFF, which is not a byte order mark then.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The bytes of a text in UTF-8. */
export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** The text of bytes in UTF-8. Throws a `TypeError` for bytes that are none. */
export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Base64url without padding (RFC 4648, section 5). */
export function toBase64url(bytes: Uint8Array): string {
  const codes = new Uint8Array(Math.ceil((bytes.length * 4) / 3));
  let at = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const bits = ((bytes[i] ?? 0) << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    // Writes past the end do nothing: the last group may have two or three digits.
    codes[at++] = CODES[bits >>> 18] ?? 0;
    codes[at++] = CODES[(bits >>> 12) & 63] ?? 0;
    codes[at++] = CODES[(bits >>> 6) & 63] ?? 0;
    codes[at++] = CODES[bits & 63] ?? 0;
  }
  return decoder.decode(codes);
}

/**
 * The bytes of base64url without padding; `undefined` for any other text. Bits that stand for
 * nothing must be zero, so that no two texts are the same bytes.
 */
export function fromBase64url(text: string): Bytes | undefined {
  const rest = text.length % 4;
  if (rest === 1) return undefined;
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let at = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    const digit = code < 256 ? (DIGITS[code] ?? NO_DIGIT) : NO_DIGIT;
    if (digit === NO_DIGIT) return undefined;
    bits = (bits << 6) | digit;
    if (i % 4 === 3) {
      bytes[at++] = bits >>> 16;
      bytes[at++] = bits >>> 8;
      bytes[at++] = bits;
      bits = 0;
    }
  }
  if (rest === 2) {
    if ((bits & 15) !== 0) return undefined;
    bytes[at] = bits >>> 4;
  } else if (rest === 3) {
    if ((bits & 3) !== 0) return undefined;
    bytes[at] = bits >>> 10;
    bytes[at + 1] = bits >>> 2;
  }
  return bytes;
}

/** Base64 with padding (RFC 4648, section 4), as header fields and PEM have it. */
export function toBase64(bytes: Uint8Array): string {
  const text = toBase64url(bytes).replaceAll("-", "+").replaceAll("_", "/");
  return text.padEnd(Math.ceil(text.length / 4) * 4, "=");
}

/** One after the other. */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Whether bytes are the same. Not for secrets: it takes longer the more of them agree. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

export function randomBytes(length: number): Bytes {
  return crypto.getRandomValues(new Uint8Array(length));
}

/** The 16 bytes of a UUID. */
export function uuidBytes(uuid: string): Bytes {
  const digits = uuid.replaceAll("-", "");
  return Uint8Array.from({ length: 16 }, (_, i) =>
    Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16),
  );
}

/** The UUID of 16 bytes, in lower case. */
export function uuidOf(bytes: Uint8Array): string {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}
