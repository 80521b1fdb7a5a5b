/** Bytes, the same on every runtime. */

/** Bytes in a buffer that is not shared, as Web Crypto requires. */
export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();
// A payload may begin with U+FEFF, which is not a byte order mark then.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Encodes a text in UTF-8. A lone surrogate becomes U+FFFD. */
export function utf8(text: string): Bytes {
  return encoder.encode(text);
}

/** Decodes UTF-8. Throws a `TypeError` for other bytes. */
export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}

/** Joins byte arrays. */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  return join(parts);
}

/** Joins any number of byte arrays: a call takes a bounded number of arguments. */
export function join(parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Compares bytes. Not for secrets: the time it takes shows how many bytes agree. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** SHA-256: 32 bytes. */
export async function sha256(bytes: Bytes): Promise<Bytes> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** Random bytes from the runtime's secure source. */
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

/** The two digits of each byte. */
const HEX = Array.from({ length: 256 }, (_, byte) => (256 + byte).toString(16).slice(1));

/** The UUID of 16 bytes, in lower case. An operation names up to 255 clients. */
export function uuidOf(bytes: Uint8Array): string {
  let uuid = "";
  bytes.forEach((byte, at) => {
    uuid += (at > 3 && at < 11 && at % 2 === 0 ? "-" : "") + HEX[byte];
  });
  return uuid;
}
