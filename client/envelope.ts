/**
 * The format of a payload. ENVELOPE.md has its layout.
 *
 * Everything before the ciphertext is the associated data of AES-256-GCM, so an operation decrypts
 * only in its own place. The signature proves who made it: everybody who knows the public key can
 * wrap a content key, but only the user can sign.
 */
import { fromBase64url, toBase64url } from "../protocol/base64.ts";
import {
  type Bytes,
  concat,
  randomBytes,
  sha256,
  utf8,
  uuidBytes,
  uuidOf,
} from "../protocol/bytes.ts";
import type { Continues, Identity } from "./types.ts";

const ENVELOPE_VERSION = 1;
/** The version of an operation that says which client ids its own one continues. */
const CONTINUING_VERSION = 2;
/** The versions that this software reads. */
export const ENVELOPE_VERSIONS: readonly number[] = [ENVELOPE_VERSION, CONTINUING_VERSION];

const UUID_BYTES = 16;
const INDEX_BYTES = 8;
const HASH_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CONTENT_KEY_BYTES = 32;

/** Version, fingerprint, client id, index and hash. The wrapped key and the nonce follow. */
const HEAD_BYTES = 1 + HASH_BYTES + UUID_BYTES + INDEX_BYTES + HASH_BYTES;

/** Of the number of hashes of a client id that is continued. */
const COUNT_BYTES = 2;
/** Of each hash, so that it has 24 characters in base64url. */
const SHORT_HASH_BYTES = 18;

const OAEP = { name: "RSA-OAEP", label: utf8("sync-server envelope 1 content key") };
const CONTEXT = utf8("sync-server envelope 1 signature\n");
const OPERATION_PSS = { name: "RSA-PSS", saltLength: HASH_BYTES };

/** The hash of the previous payload that a client's first operation names. */
export const NO_PREVIOUS: Bytes = new Uint8Array(HASH_BYTES);

/** The place of an operation. */
export interface Place {
  readonly client: string;
  readonly index: number;
  /** SHA-256 of the client's previous payload; `NO_PREVIOUS` for the index 0. */
  readonly previous: Bytes;
}

/** What an operation carries. */
export interface Content {
  readonly data: Bytes;
  /** Which client ids its own one continues; only in the first operation of a client. */
  readonly continues?: readonly Continues[] | undefined;
}

/** The key that encrypts the operations of one session of a client. */
export interface ContentKey {
  readonly key: CryptoKey;
  /** The same key, encrypted under the user's public key. */
  readonly wrapped: Bytes;
}

/** The parts of a payload. Nothing in it is verified. */
export interface Envelope {
  /** The bytes of the payload. */
  readonly bytes: Bytes;
  readonly version: number;
  /** See `originOf`. */
  readonly origin: Bytes;
  readonly index: number;
  readonly previous: Bytes;
  readonly wrapped: Bytes;
  readonly nonce: Bytes;
  /** Includes the tag. */
  readonly ciphertext: Bytes;
  readonly signature: Bytes;
  /** Everything before the ciphertext. */
  readonly associated: Bytes;
}

/** Makes a content key. It may encrypt 2^32 operations, because nonces are random. */
export async function newContentKey({ keys }: Identity): Promise<ContentKey> {
  const raw = randomBytes(CONTENT_KEY_BYTES);
  const [key, wrapped] = await Promise.all([
    crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt"]),
    crypto.subtle.encrypt(OAEP, keys.wrap, raw),
  ]);
  raw.fill(0);
  return { key, wrapped: new Uint8Array(wrapped) };
}

/**
 * Encrypts and signs data for one place. The result is different each time. `hash` is the SHA-256
 * of the payload's bytes, which the next operation names.
 */
export async function seal(
  identity: Identity,
  content: ContentKey,
  { client, index, previous }: Place,
  { data, continues }: Content,
): Promise<{ readonly payload: string; readonly hash: Bytes }> {
  const iv = randomBytes(NONCE_BYTES);
  const associated = concat(
    Uint8Array.of(continues === undefined ? ENVELOPE_VERSION : CONTINUING_VERSION),
    originOf(identity, client),
    bytesOf(index, INDEX_BYTES),
    previous,
    content.wrapped,
    iv,
  );
  const ciphertext = new Uint8Array(
    await crypto.subtle.encrypt(
      { name: "AES-GCM", iv, additionalData: associated },
      content.key,
      continues === undefined ? data : concat(continuesBytes(continues), data),
    ),
  );
  const message = await signedMessage(associated, ciphertext);
  const signature = await crypto.subtle.sign(OPERATION_PSS, identity.keys.sign, message);
  const bytes = concat(associated, ciphertext, new Uint8Array(signature));
  return { payload: toBase64url(bytes), hash: await sha256(bytes) };
}

/** The user's fingerprint and the client id, as all envelopes of a client have them. */
export function originOf({ fingerprint }: Identity, client: string): Bytes {
  return concat(hashBytes(fingerprint), uuidBytes(client));
}

/** The bytes of a SHA-256 in base64url. Throws a `TypeError` for any other text. */
export function hashBytes(text: string): Bytes {
  const bytes = fromBase64url(text);
  if (bytes?.length !== HASH_BYTES) throw new TypeError("a fingerprint or hash is no SHA-256");
  return bytes;
}

/** The length of the payload that data of a length becomes. */
export function sealedLength(identity: Identity, length: number): number {
  return Math.ceil(((bytesAround(identity) + length) * 4) / 3);
}

/** How many bytes an envelope has beside the data: the wrapped key and the signature among them. */
function bytesAround({ bits }: Identity): number {
  return HEAD_BYTES + NONCE_BYTES + TAG_BYTES + bits / 4;
}

/** Parses a payload; `undefined` where it is no envelope by its form. Nothing else is checked. */
export function parseEnvelope(identity: Identity, payload: string): Envelope | undefined {
  const bytes = fromBase64url(payload);
  if (bytes === undefined || bytes.length < bytesAround(identity)) return undefined;
  const modulus = identity.bits / 8;
  const take = takingFrom(bytes);
  // In the order of the layout.
  return {
    bytes,
    version: numberOf(take(1)),
    origin: take(HASH_BYTES + UUID_BYTES),
    index: numberOf(take(INDEX_BYTES)),
    previous: take(HASH_BYTES),
    wrapped: take(modulus),
    nonce: take(NONCE_BYTES),
    associated: bytes.subarray(0, HEAD_BYTES + modulus + NONCE_BYTES),
    ciphertext: take(bytes.length - bytesAround(identity) + TAG_BYTES),
    signature: take(),
  };
}

/** Whether the user signed an envelope. */
export async function isGenuine({ keys }: Identity, envelope: Envelope): Promise<boolean> {
  const message = await signedMessage(envelope.associated, envelope.ciphertext);
  return crypto.subtle.verify(OPERATION_PSS, keys.verify, envelope.signature, message);
}

/** Decrypts a content key with the private key, which takes milliseconds. Throws where it fails. */
export async function unwrapContentKey({ keys }: Identity, wrapped: Bytes): Promise<CryptoKey> {
  const raw = new Uint8Array(await crypto.subtle.decrypt(OAEP, keys.unwrap, wrapped));
  // Web Crypto would take one of 16 bytes as a key of AES-128.
  if (raw.length !== CONTENT_KEY_BYTES) throw new DOMException("the content key is too short");
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
  raw.fill(0);
  return key;
}

/** Decrypts the content. Throws where the envelope was altered, or its maker made it wrong. */
export async function decrypt(envelope: Envelope, key: CryptoKey): Promise<Content> {
  const { version, nonce, associated, ciphertext } = envelope;
  const algorithm = { name: "AES-GCM", iv: nonce, additionalData: associated };
  const data = new Uint8Array(await crypto.subtle.decrypt(algorithm, key, ciphertext));
  return version === CONTINUING_VERSION ? continuingContent(data) : { data };
}

function continuesBytes(continues: readonly Continues[]): Bytes {
  const parts = continues.map(({ client, index, hashes }) => {
    const short = fromBase64url(hashes) ?? NO_PREVIOUS;
    const count = bytesOf(short.length / SHORT_HASH_BYTES, COUNT_BYTES);
    return concat(uuidBytes(client), bytesOf(index, INDEX_BYTES), count, short);
  });
  return concat(Uint8Array.of(parts.length), ...parts);
}

/** Throws a `RangeError` where the content is cut. */
function continuingContent(bytes: Bytes): Content {
  const take = takingFrom(bytes);
  const continues: Continues[] = [];
  for (let left = numberOf(take(1)); left > 0; left--) {
    const client = uuidOf(take(UUID_BYTES));
    const index = numberOf(take(INDEX_BYTES));
    const hashes = toBase64url(take(numberOf(take(COUNT_BYTES)) * SHORT_HASH_BYTES));
    continues.push({ client, index, hashes });
  }
  return { data: take().slice(), continues };
}

/**
 * Returns a function that takes the next bytes, or all that are left. It throws a `RangeError`
 * where there are fewer.
 */
function takingFrom(bytes: Bytes): (length?: number) => Bytes {
  let start = 0;
  return (length = bytes.length - start) => {
    const part = bytes.subarray(start, start + length);
    if (part.length < length) throw new RangeError("the content is cut");
    start += length;
    return part;
  };
}

async function signedMessage(associated: Bytes, ciphertext: Bytes): Promise<Bytes> {
  return concat(CONTEXT, associated, await sha256(ciphertext));
}

/** A whole number as bytes, the highest first. */
function bytesOf(number: number, length: number): Bytes {
  // Each byte keeps the lowest eight bits of what is stored in it.
  return Uint8Array.from({ length }, (_, i) => number / 256 ** (length - 1 - i));
}

function numberOf(bytes: Bytes): number {
  return bytes.reduce((number, byte) => number * 256 + byte, 0);
}
