/** Payloads and lines as UTF-8, and back. */

const encoder = new TextEncoder();
// A payload may begin with U+FEFF, which is not a byte order mark then.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 without a byte order mark. */
export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text);
}

/** Throws a `TypeError` for bytes that are not UTF-8. */
export function textOf(bytes: Uint8Array): string {
  return decoder.decode(bytes);
}
