/**
 * The envelope: what a payload is to the clients. ENVELOPE.md has its layout.
 *
 * Everything before the ciphertext is the associated data of AES-256-GCM, so an operation opens in
 * its place alone. The signature is the public key check: whoever knows the public key can wrap a
 * content key, but only the user can sign.
 */
import {
  type Bytes,
  concat,
  fromBase64url,
  randomBytes,
  sha256,
  toBase64url,
  utf8,
  uuidBytes,
  uuidOf,
} from "../protocol/bytes.ts";
import type { Identity } from "./types.ts";

export const VERSION = 1;

const HASH_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CONTENT_KEY_BYTES = 32;

/** Where the parts of the head begin. The wrapped key follows it; its length is the modulus's. */
const FINGERPRINT_AT = 1;
const CLIENT_AT = 33;
const INDEX_AT = 49;
const PREVIOUS_AT = 57;
const HEAD_BYTES = 89;

const LABEL = utf8("sync-server envelope 1 content key");
const CONTEXT = utf8("sync-server envelope 1 signature\n");
const PSS = { name: "RSA-PSS", saltLength: HASH_BYTES };

/** In place of the hash of a payload before the first one. */
export const NO_PREVIOUS: Bytes = new Uint8Array(HASH_BYTES);

/** Where an operation belongs. */
export interface Place {
  readonly client: string;
  readonly index: number;
  /** SHA-256 of the client's previous payload; `NO_PREVIOUS` for the index 0. */
  readonly previous: Bytes;
}

/** The key that seals the operations of one session of a client. */
export interface ContentKey {
  readonly key: CryptoKey;
  /** The same key, as only the user can open it. */
  readonly wrapped: Bytes;
}

/** A payload, taken apart and not yet believed. */
export interface Envelope extends Place {
  /** The bytes of the payload. */
  readonly bytes: Bytes;
  readonly fingerprint: string;
  readonly wrapped: Bytes;
  readonly nonce: Bytes;
  /** With the tag. */
  readonly ciphertext: Bytes;
  readonly signature: Bytes;
  /** All that stands before the ciphertext. */
  readonly associated: Bytes;
}

/** A payload that is no envelope: nothing a client of this version has made. */
export class InvalidEnvelope extends Error {
  override name = "NoEnvelope";
  /** The version it says it is of, when that is another one. */
  readonly version: number | undefined;
  constructor(message: string, version?: number) {
    super(message);
    this.version = version;
  }
}

/** A new content key. One is enough for 2^32 operations, as nonces are random. */
export async function newContentKey({ keys }: Identity): Promise<ContentKey> {
  const raw = randomBytes(CONTENT_KEY_BYTES);
  const [key, wrapped] = await Promise.all([
    crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt"]),
    crypto.subtle.encrypt({ name: "RSA-OAEP", label: LABEL }, keys.wrap, raw),
  ]);
  raw.fill(0);
  return { key, wrapped: new Uint8Array(wrapped) };
}

/** Seals data into a payload for one place. Sealing it again gives another payload. */
export async function seal(
  { keys, fingerprint }: Identity,
  content: ContentKey,
  { client, index, previous }: Place,
  data: Bytes,
): Promise<{ readonly payload: string; readonly hash: Bytes }> {
  const user = fromBase64url(fingerprint);
  if (user?.length !== HASH_BYTES) throw new TypeError("the fingerprint is not SHA-256");
  const iv = randomBytes(NONCE_BYTES);
  const associated = concat(
    Uint8Array.of(VERSION),
    user,
    uuidBytes(client),
    indexBytes(index),
    previous,
    content.wrapped,
    iv,
  );
  const ciphertext = new Uint8Array(
    await crypto.subtle.encrypt(
      { name: "AES-GCM", iv, additionalData: associated },
      content.key,
      data,
    ),
  );
  const message = await signedMessage(associated, ciphertext);
  const signature = await crypto.subtle.sign(PSS, keys.sign, message);
  const bytes = concat(associated, ciphertext, new Uint8Array(signature));
  return { payload: toBase64url(bytes), hash: await sha256(bytes) };
}

/** Takes a payload apart. Throws `InvalidEnvelope`. Nothing in it is checked but its form. */
export function parseEnvelope({ bits }: Identity, payload: string): Envelope {
  const bytes = fromBase64url(payload);
  if (bytes === undefined) throw new InvalidEnvelope("the payload is not base64url");
  const [version] = bytes;
  if (version === undefined) throw new InvalidEnvelope("the payload is empty");
  if (version !== VERSION) throw new InvalidEnvelope(`the version is ${version}`, version);
  const modulus = bits / 8;
  const wrappedEnd = HEAD_BYTES + modulus;
  const associatedEnd = wrappedEnd + NONCE_BYTES;
  const signatureAt = bytes.length - modulus;
  if (signatureAt < associatedEnd + TAG_BYTES)
    throw new InvalidEnvelope("the payload is too short");
  const index = new DataView(bytes.buffer).getBigUint64(INDEX_AT);
  if (index > Number.MAX_SAFE_INTEGER) throw new InvalidEnvelope("the operation index is too high");
  return {
    bytes,
    fingerprint: toBase64url(bytes.subarray(FINGERPRINT_AT, CLIENT_AT)),
    client: uuidOf(bytes.subarray(CLIENT_AT, INDEX_AT)),
    index: Number(index),
    previous: bytes.subarray(PREVIOUS_AT, HEAD_BYTES),
    wrapped: bytes.subarray(HEAD_BYTES, wrappedEnd),
    nonce: bytes.subarray(wrappedEnd, associatedEnd),
    associated: bytes.subarray(0, associatedEnd),
    ciphertext: bytes.subarray(associatedEnd, signatureAt),
    signature: bytes.subarray(signatureAt),
  };
}

/** The public key check: whether the user has signed this. */
export async function isGenuine({ keys }: Identity, envelope: Envelope): Promise<boolean> {
  const message = await signedMessage(envelope.associated, envelope.ciphertext);
  return crypto.subtle.verify(PSS, keys.verify, envelope.signature, message);
}

/** The content key of an envelope: one use of the private key. Throws when it cannot be opened. */
export async function unwrapContentKey({ keys }: Identity, wrapped: Bytes): Promise<CryptoKey> {
  const algorithm = { name: "RSA-OAEP", label: LABEL };
  const raw = new Uint8Array(await crypto.subtle.decrypt(algorithm, keys.unwrap, wrapped));
  const key = await crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["decrypt"]);
  raw.fill(0);
  return key;
}

/** What was sealed. Throws when the envelope was altered. */
export async function decrypt(envelope: Envelope, key: CryptoKey): Promise<Bytes> {
  const { nonce, associated, ciphertext } = envelope;
  const algorithm = { name: "AES-GCM", iv: nonce, additionalData: associated };
  return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, ciphertext));
}

async function signedMessage(associated: Bytes, ciphertext: Bytes): Promise<Bytes> {
  return concat(CONTEXT, associated, await sha256(ciphertext));
}

function indexBytes(index: number): Bytes {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(index));
  return bytes;
}
