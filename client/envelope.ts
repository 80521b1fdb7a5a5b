/**
 * The format of a payload. ENVELOPE.md has its layout.
 *
 * A session begins with a secret that only the user's devices can unwrap, and that only they can sign.
 * A valid tag under its key therefore proves that one of them made it: no operation needs a signature.
 * The place of an operation is not transmitted: it is associated data, so that an operation opens
 * nowhere else.
 */
import { fromBase64url, toBase64url } from "../protocol/base64.ts";
import { type Bytes, concat, randomBytes, utf8, uuidBytes } from "../protocol/bytes.ts";
import { base64Bytes, Input, numberBytes } from "./binary.ts";
import { type Content, contentBytes, contentLength, contentOf } from "./content.ts";
import { ContentKey, TAG_BYTES } from "./content-key.ts";
import type { Cursor, Identity } from "./types.ts";

/** The version that this software reads and writes. */
export const ENVELOPE_VERSION = 2;
/** The same in a snapshot, which carries the tag of the payload before it as well. */
export const SNAPSHOT_VERSION = ENVELOPE_VERSION | 128;

const VERSION_BYTES = 1;
const DISTANCE_BYTES = 2;
const NONCE_BYTES = 12;
const SECRET_BYTES = 32;
const HASH_BYTES = 32;
const INDEX_BYTES = 8;

/** How far the last operation of a session is from the first: two bytes say it. */
export const MAX_DISTANCE = 2 ** 16 - 1;

const OAEP = { name: "RSA-OAEP", label: utf8("sync-server envelope 2 secret") };
const PSS = { name: "RSA-PSS", saltLength: HASH_BYTES };
const SIGNATURE_CONTEXT = utf8("sync-server envelope 2 session\n");
const KEY_CONTEXT = utf8("sync-server envelope 2 content key\n");

/** The tag that a client's first operation is bound to. */
export const NO_PREVIOUS: Bytes = new Uint8Array(TAG_BYTES);

/** The place of an operation. */
export interface Place {
  /** User and client: see `originOf`. */
  readonly origin: Bytes;
  readonly index: number;
  /** The tag of the client's previous payload; `NO_PREVIOUS` for the index 0. */
  readonly previous: Bytes;
}

/** Consecutive operations of a client under one key. */
export interface Session {
  readonly first: number;
  /** What the payload of its first operation carries. Not needed once that is sealed. */
  readonly header: SessionHeader | undefined;
  readonly key: ContentKey;
}

/** The header of a session, which its first payload carries (ENVELOPE.md, E-2.1). */
export interface SessionHeader {
  /** The secret, encrypted under the user's public key. */
  readonly wrapped: Bytes;
  readonly signature: Bytes;
}

/** The parts of a payload. Nothing in it is verified. */
export interface Envelope {
  readonly version: number;
  /** How many operations of the session come before this one. */
  readonly distance: number;
  /** In the first operation of a session. */
  readonly header: SessionHeader | undefined;
  /** In a snapshot: the tag of the payload before it, so that it opens also without that. */
  readonly previous: Bytes | undefined;
  readonly nonce: Bytes;
  /** Includes the tag. */
  readonly ciphertext: Bytes;
  readonly tag: Bytes;
  /** Everything before the nonce. */
  readonly head: Bytes;
}

/** Begins a session at the place of its first operation. Takes milliseconds. */
export async function beginSession(identity: Identity, place: Place): Promise<Session> {
  const { keys } = identity;
  const secret = randomBytes(SECRET_BYTES);
  const [key, wrapped] = await Promise.all([
    contentKey(place.origin, place.index, secret),
    crypto.subtle.encrypt(OAEP, keys.wrap, secret),
  ]);
  secret.fill(0);
  const bytes = new Uint8Array(wrapped);
  const message = signedMessage(place, bytes);
  const signature = new Uint8Array(await crypto.subtle.sign(PSS, keys.sign, message));
  return { first: place.index, header: { wrapped: bytes, signature }, key };
}

/** Whether the user has begun a session at a place. */
export function isGenuine(
  identity: Identity,
  place: Place,
  { wrapped, signature }: SessionHeader,
): Promise<boolean> {
  const message = signedMessage(place, wrapped);
  return crypto.subtle.verify(PSS, identity.keys.verify, signature, message);
}

/**
 * Unwraps the secret of a session with the private key, which takes milliseconds, and derives its key.
 * Throws a `DOMException` where that fails.
 *
 * @param first the index of the session's first operation
 */
export async function openSession(
  identity: Identity,
  origin: Bytes,
  first: number,
  wrapped: Bytes,
): Promise<ContentKey> {
  const secret = new Uint8Array(await crypto.subtle.decrypt(OAEP, identity.keys.unwrap, wrapped));
  if (secret.length !== SECRET_BYTES) throw new DOMException("the secret has a wrong length");
  const key = await contentKey(origin, first, secret);
  secret.fill(0);
  return key;
}

/** A payload, and the tag that the next one is bound to. */
export interface Sealed {
  readonly payload: string;
  readonly tag: Bytes;
}

/** Encrypts content for the next place of a session. The result is different each time. */
export function seal(session: Session, place: Place, content: Content): Promise<Sealed> {
  const version = content.snapshot === undefined ? ENVELOPE_VERSION : SNAPSHOT_VERSION;
  return sealBytes(session, place, contentBytes(content), version);
}

/** Encrypts bytes, whether they are content or not. */
export async function sealBytes(
  session: Session,
  place: Place,
  bytes: Bytes,
  version = ENVELOPE_VERSION,
): Promise<Sealed> {
  const distance = place.index - session.first;
  const header = distance === 0 ? session.header : undefined;
  const head = concat(
    Uint8Array.of(version),
    numberBytes(distance, DISTANCE_BYTES),
    ...(header ? [header.wrapped, header.signature] : []),
    ...(version === SNAPSHOT_VERSION ? [place.previous] : []),
  );
  const nonce = randomBytes(NONCE_BYTES);
  const ciphertext = await session.key.encrypt(nonce, associatedData(place, head), bytes);
  const payload = toBase64url(concat(head, nonce, ciphertext));
  // A copy: it is kept, and the rest is not.
  return { payload, tag: ciphertext.slice(-TAG_BYTES) };
}

/** The bytes of a tag in base64url. Throws a `TypeError` for any other text. */
export function tagBytes(text: string): Bytes {
  return base64Bytes(text, TAG_BYTES);
}

/** The most characters that a payload with one entry of a length has. */
export function sealedLength({ bits }: Identity, length: number): number {
  return Math.ceil(((LEAST_BYTES + bits / 4 + contentLength(length)) * 4) / 3);
}

/** Of an envelope without a header and without content. */
const LEAST_BYTES = VERSION_BYTES + DISTANCE_BYTES + NONCE_BYTES + TAG_BYTES;

/** Parses a payload; `undefined` where it is no envelope by its form. Nothing else is checked. */
export function parseEnvelope({ bits }: Identity, payload: string): Envelope | undefined {
  const bytes = fromBase64url(payload);
  if (bytes === undefined || bytes.length < LEAST_BYTES) return undefined;
  const input = new Input(bytes);
  // In the order of the layout.
  const version = input.number(VERSION_BYTES);
  const distance = input.number(DISTANCE_BYTES);
  const modulus = bits / 8;
  const isSnapshot = version === SNAPSHOT_VERSION;
  const more = (distance === 0 ? 2 * modulus : 0) + (isSnapshot ? TAG_BYTES : 0);
  if (bytes.length < LEAST_BYTES + more || (isSnapshot && distance > 0)) return undefined;
  const header =
    distance === 0 ? { wrapped: input.take(modulus), signature: input.take(modulus) } : undefined;
  const previous = isSnapshot ? input.take(TAG_BYTES) : undefined;
  return {
    version,
    distance,
    header,
    previous,
    head: bytes.subarray(0, bytes.length - input.left),
    nonce: input.take(NONCE_BYTES),
    ciphertext: bytes.subarray(bytes.length - input.left),
    tag: bytes.slice(-TAG_BYTES),
  };
}

/**
 * Decrypts the content. Throws a `DOMException` where the operation is not the user's, or not for this
 * place, and `Malformed` where it is, and its maker made it wrong.
 */
export async function decrypt(
  place: Place,
  { head, header, previous, nonce, ciphertext }: Envelope,
  key: ContentKey,
): Promise<Content> {
  const bytes = await key.decrypt(nonce, associatedData(place, head), ciphertext);
  return contentOf(bytes, previous && header?.wrapped.length);
}

/**
 * The position of an operation, by its payload and those before it.
 *
 * @param read parses the payload at an index
 * @param unreadable the error to throw where no session begins that has to
 * @param start the position before the first payload that can be read
 */
export async function positionAt(
  client: string,
  index: number,
  read: (index: number) => Promise<Envelope>,
  unreadable: (index: number) => Error | Promise<Error>,
  start?: Cursor,
): Promise<Cursor> {
  const { tag, distance } = await read(index);
  const first = index - distance;
  let session = start?.session;
  if (start === undefined || session === undefined || first > start.index) {
    const { header } = await read(first);
    if (header === undefined) throw await unreadable(first);
    session = { first, secret: toBase64url(header.wrapped) };
  }
  const before = index === 0 ? NO_PREVIOUS : undefined;
  const previous =
    start?.index === index - 1 ? start.tag : toBase64url(before ?? (await read(index - 1)).tag);
  return { client, index, tag: toBase64url(tag), previous, session };
}

/** Whether a payload says that it is a snapshot. */
export function isSnapshot(payload: string): boolean {
  // Its first byte, and the first half of the next one, which is zero.
  return payload.startsWith("gg");
}

/** How many characters payloads have together, without those that are snapshots. */
export function sizeWithoutSnapshots(payloads: readonly string[]): number {
  return payloads.reduce((sum, one) => sum + (isSnapshot(one) ? 0 : one.length), 0);
}

/** The key of a session. It depends on the place of the session, as its signature does. */
function contentKey(origin: Bytes, first: number, secret: Bytes): Promise<ContentKey> {
  return ContentKey.derive(secret, concat(KEY_CONTEXT, origin, numberBytes(first, INDEX_BYTES)));
}

/** The user's fingerprint and the client id, which all operations of a client have in their place. */
export function originOf({ fingerprint }: Identity, client: string): Bytes {
  return concat(base64Bytes(fingerprint, HASH_BYTES), uuidBytes(client));
}

function signedMessage({ origin, index, previous }: Place, wrapped: Bytes): Bytes {
  return concat(SIGNATURE_CONTEXT, origin, numberBytes(index, INDEX_BYTES), previous, wrapped);
}

/** @param head everything in the payload before the nonce */
function associatedData({ origin, index, previous }: Place, head: Bytes): Bytes {
  return concat(origin, numberBytes(index, INDEX_BYTES), previous, head);
}
