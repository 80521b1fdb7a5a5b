/** Base64 and base64url (RFC 4648), by the runtime where it has them. */
import type { Bytes } from "./bytes.ts";

/** `Uint8Array` of ECMAScript 2026, which Node 20 to 24 lack. */
interface NativeDecoder {
  readonly BYTES_PER_ELEMENT: number;
  readonly fromBase64?: (text: string, options: { readonly alphabet: "base64url" }) => Bytes;
}

interface NativeEncoder {
  readonly length: number;
  readonly toBase64?: (options?: {
    readonly alphabet: "base64url";
    readonly omitPadding: true;
  }) => string;
}

/** What these have instead. */
interface NodeRuntime {
  readonly btoa: unknown;
  readonly Buffer?: {
    from(bytes: ArrayBufferLike, offset: number, length: number): View;
    byteLength(text: string): number;
  };
}

interface View {
  toString(encoding: "base64" | "base64url"): string;
  write(text: string, encoding: "base64url"): number;
}

const { Buffer }: NodeRuntime = globalThis;

/** How many bytes become characters at once: a call takes a bounded number of arguments. */
const PIECE_BYTES = 8192;

/** Base64url without padding (RFC 4648, section 5). */
export function toBase64url(bytes: Uint8Array): string {
  const native: NativeEncoder = bytes;
  if (native.toBase64) return native.toBase64({ alphabet: "base64url", omitPadding: true });
  if (Buffer) return viewOf(bytes, Buffer).toString("base64url");
  return encode(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Base64 with padding (RFC 4648, section 4), as header fields and PEM use it. */
export function toBase64(bytes: Uint8Array): string {
  const native: NativeEncoder = bytes;
  if (native.toBase64) return native.toBase64();
  return Buffer ? viewOf(bytes, Buffer).toString("base64") : encode(bytes);
}

/**
 * Decodes base64url without padding; `undefined` for any other text. Unused bits of the last
 * character must be zero, so that no two texts decode to the same bytes.
 */
export function fromBase64url(text: string): Bytes | undefined {
  const native: NativeDecoder = Uint8Array;
  if (native.fromBase64) return decodeNatively(text, native.fromBase64);
  return Buffer ? decodeByBuffer(text, Buffer) : decode(text);
}

/** It takes base64 as well, and the low byte of any character, and leaves out what is no digit. */
function decodeByBuffer(text: string, buffer: NonNullable<NodeRuntime["Buffer"]>) {
  const isAscii = buffer.byteLength(text) === text.length;
  if (!isAscii || text.includes("+") || text.includes("/") || !hasCanonicalEnd(text))
    return undefined;
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  return viewOf(bytes, buffer).write(text, "base64url") === bytes.length ? bytes : undefined;
}

function decodeNatively(
  text: string,
  fromBase64: NonNullable<NativeDecoder["fromBase64"]>,
): Bytes | undefined {
  if (!hasCanonicalEnd(text)) return undefined;
  try {
    const bytes = fromBase64(text, { alphabet: "base64url" });
    // It leaves out white space.
    return bytes.length === Math.floor((text.length * 3) / 4) ? bytes : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** Whether a text is base64url without padding. `atob` takes much more than that. */
function isCanonical(text: string): boolean {
  return /^[\w-]*$/.test(text) && hasCanonicalEnd(text);
}

/** Native decoders take padding, and the unused bits of a last group of two or three digits. */
function hasCanonicalEnd(text: string): boolean {
  return (
    /^(.[AQgw]|..[AEIMQUYcgkosw048])?$/.test(text.slice(text.length - (text.length % 4))) &&
    !text.endsWith("=")
  );
}

function viewOf(bytes: Uint8Array, { from }: NonNullable<NodeRuntime["Buffer"]>): View {
  return from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** `toBase64` for runtimes without a native encoder. */
export function encode(bytes: Uint8Array): string {
  let binary = "";
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    // Spread arguments take ten times as long.
    binary += Reflect.apply(String.fromCharCode, null, bytes.subarray(at, at + PIECE_BYTES));
  }
  return btoa(binary);
}

/** `fromBase64url` for runtimes without a native decoder. */
export function decode(text: string): Bytes | undefined {
  if (!isCanonical(text)) return undefined;
  const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}
