/**
 * Verifies and decrypts runs: consecutive operations of one client id (ENVELOPE.md).
 *
 * An operation opens only under the key of its session and bound to the tag of the one before it, so
 * one that opens is the user's own, in its place, and nothing is missing before it. A run is split at
 * its first fault: the operations before it are valid, the rest is refused. A valid operation whose
 * content is malformed is left out: the chain goes on after it.
 */
import { fromBase64url, toBase64url } from "../protocol/base64.ts";
import { type Bytes, equal } from "../protocol/bytes.ts";
import type { Line } from "../protocol/types.ts";
import { Malformed } from "./binary.ts";
import type { Content } from "./content.ts";
import type { ContentKey } from "./content-key.ts";
import {
  decrypt,
  ENVELOPE_VERSION,
  type Envelope,
  isGenuine,
  NO_PREVIOUS,
  openSession,
  originOf,
  type Place,
  parseEnvelope,
  SNAPSHOT_VERSION,
  tagBytes,
} from "./envelope.ts";
import type { Operation, VerifiedRun } from "./operation.ts";
import type { Cursor, Identity, Refusal, RefusalKind, SessionStart } from "./types.ts";

/** Each takes a few hundred bytes. */
const MAX_CACHED_KEYS = 1024;

/** What the next operation of a client has to follow. */
interface Position {
  readonly index: number;
  readonly tag: Bytes;
  /** The tag before that one. */
  readonly previous: Bytes;
  /** The next operation continues it, or begins one. */
  readonly session: KnownSession | undefined;
}

/** A session, and whether the user has begun it: that may still be being verified. */
interface KnownSession {
  readonly start: SessionStart;
  readonly isGenuine: true | Promise<boolean>;
}

/** What became of a line: its content, `undefined` where that is malformed, or why it is refused. */
type Opened =
  | { readonly content: Content | undefined }
  | { readonly fault: RefusalKind }
  | { readonly error: unknown };

/** Verifies and decrypts the operations of one user. */
export class RunVerifier {
  readonly #identity: Identity;
  /** Keys of sessions by their start, the least recently used first. */
  readonly #keys = new Map<string, Promise<ContentKey>>();
  /** The key used last, which most operations of a run share. */
  #last: { readonly session: SessionStart; readonly key: Promise<ContentKey> } | undefined;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /**
   * Verifies and decrypts lines of one client id, in the order in which the server sent them.
   *
   * @param cursor the position before the run; `undefined` if nothing of the client was delivered
   */
  verify(client: string, lines: readonly Line[], cursor: Cursor | undefined): Promise<VerifiedRun> {
    return this.#verify(client, lines, cursor, positionOf(cursor));
  }

  /** Verifies a snapshot without what was before it. A line is none if its content has none. */
  verifySnapshot(line: Line): Promise<VerifiedRun> {
    const before = parseEnvelope(this.#identity, line.payload)?.previous ?? NO_PREVIOUS;
    const position = { index: line.index - 1, tag: before, previous: before, session: undefined };
    return this.#verify(line.client, [line], undefined, position);
  }

  async #verify(
    client: string,
    lines: readonly Line[],
    cursor: Cursor | undefined,
    position: Position,
  ): Promise<VerifiedRun> {
    const { positions, opening } = this.#start(originOf(this.#identity, client), lines, position);
    const opened = await Promise.all(opening);
    const operations: Operation[] = [];
    const unreadable: Refusal[] = [];
    let continues = cursor?.continues;
    let valid = 0;
    let refusal: Refusal | undefined;
    for (const [i, one] of opened.entries()) {
      const place = { client, index: lines[i]?.index ?? 0 };
      if ("error" in one) throw one.error;
      if ("fault" in one) {
        refusal = { kind: one.fault, ...place };
        break;
      }
      valid++;
      if (one.content === undefined) unreadable.push({ kind: "unreadable", ...place });
      else {
        operations.push({ ...place, content: one.content });
        if (place.index === 0 || one.content.snapshot) continues = one.content.continues;
      }
    }
    const first = positions[0]?.index ?? 0;
    const tagOf = (index: number) => toBase64url(positions[index - first]?.tag ?? NO_PREVIOUS);
    const last = positions[valid];
    const moved = last?.session && {
      client,
      index: last.index,
      tag: tagOf(last.index),
      previous: tagOf(last.index - 1),
      session: last.session.start,
      ...(continues && { continues }),
    };
    return { operations, unreadable, tagOf, cursor: valid === 0 ? cursor : moved, refusal };
  }

  /**
   * Starts to open lines, all at once: what each has to follow is known before that is opened.
   *
   * @returns the position before the run, and that after each line
   */
  #start(origin: Bytes, lines: readonly Line[], before: Position) {
    let position = before;
    const positions = [position];
    const opening: Promise<Opened>[] = [];
    for (const line of lines) {
      const envelope = parseEnvelope(this.#identity, line.payload);
      const fault = faultOf(line, envelope, position);
      if (envelope === undefined || fault !== undefined) {
        opening.push(this.#refused(origin, line, envelope, fault ?? "forged", position));
        break;
      }
      const { tag: previous } = position;
      const place = { origin, index: line.index, previous };
      const session = this.#sessionOf(place, envelope, position);
      opening.push(this.#open(place, envelope, session));
      if (session === undefined) break;
      position = { index: line.index, tag: envelope.tag, previous, session };
      positions.push(position);
    }
    return { positions, opening };
  }

  /** Opens an operation in its place. Never rejects, because not each is awaited in time. */
  async #open(
    place: Place,
    envelope: Envelope,
    session: KnownSession | undefined,
  ): Promise<Opened> {
    if (session === undefined) return { fault: "forged" };
    try {
      // Everybody who knows the public key can wrap a secret. It is not unwrapped without the signature.
      if (session.isGenuine !== true && !(await session.isGenuine)) return { fault: "forged" };
      const key = await keyOrNothing(this.keyOf(place.origin, session.start));
      // What the user has signed: the session as a whole cannot be read.
      if (key === undefined) return { fault: "unreadable" };
      return { content: await decrypt(place, envelope, key) };
    } catch (error) {
      if (error instanceof Malformed) return { content: undefined };
      return isDenial(error) ? { fault: "forged" } : { error };
    }
  }

  /** The session that an operation says it is of; `undefined` where that is not the one known. */
  #sessionOf(
    place: Place,
    { header, distance }: Envelope,
    { session }: Position,
  ): KnownSession | undefined {
    const { index: first } = place;
    if (header === undefined) {
      return session?.start.first === first - distance ? session : undefined;
    }
    const start = { first, secret: toBase64url(header.wrapped) };
    return { start, isGenuine: isGenuine(this.#identity, place, header) };
  }

  /** The kind of a refusal that form and index decide, but for a fork: that is what the user made. */
  async #refused(
    origin: Bytes,
    { index }: Line,
    envelope: Envelope | undefined,
    fault: RefusalKind,
    position: Position,
  ): Promise<Opened> {
    const isRival = fault === "out of place" && index === position.index && envelope !== undefined;
    if (!isRival || equal(envelope.tag, position.tag)) return { fault };
    const place = { origin, index, previous: position.previous };
    const session = this.#sessionOf(place, envelope, position);
    const opened = await this.#open(place, envelope, session);
    return "content" in opened ? { fault: "fork" } : opened;
  }

  /** The tag of a payload, as in a cursor, whether it is valid or not; `undefined` where there is none. */
  tagOf(payload: string): string | undefined {
    const envelope = parseEnvelope(this.#identity, payload);
    return envelope && toBase64url(envelope.tag);
  }

  /** The key of a session that is known to be the user's. Takes milliseconds the first time. */
  keyOf(origin: Bytes, session: SessionStart): Promise<ContentKey> {
    if (this.#last?.session === session) return this.#last.key;
    const { first, secret } = session;
    const name = `${toBase64url(origin)} ${first} ${secret}`;
    const wrapped = fromBase64url(secret) ?? NO_PREVIOUS;
    const key = this.#keys.get(name) ?? openSession(this.#identity, origin, first, wrapped);
    this.#keys.delete(name);
    this.#keys.set(name, key);
    const oldest = this.#keys.keys().next().value;
    if (this.#keys.size > MAX_CACHED_KEYS && oldest !== undefined) this.#keys.delete(oldest);
    this.#last = { session, key };
    // What failed for another reason than the key may work the next time.
    key.catch(() => this.#forget(name, key));
    return key;
  }

  #forget(name: string, key: Promise<ContentKey>): void {
    if (this.#keys.get(name) === key) this.#keys.delete(name);
    if (this.#last?.key === key) this.#last = undefined;
  }
}

/** The position after a cursor. */
function positionOf(cursor: Cursor | undefined): Position {
  if (cursor === undefined) {
    return { index: -1, tag: NO_PREVIOUS, previous: NO_PREVIOUS, session: undefined };
  }
  const { index, tag, previous, session } = cursor;
  const known: KnownSession = { start: session, isGenuine: true };
  return { index, tag: tagBytes(tag), previous: tagBytes(previous), session: known };
}

/** The fault of a line that its form and its index show. */
function faultOf(
  { index }: Line,
  envelope: Envelope | undefined,
  position: Position,
): RefusalKind | undefined {
  if (envelope === undefined) return "forged";
  if (![ENVELOPE_VERSION, SNAPSHOT_VERSION].includes(envelope.version)) return "other version";
  if (index <= position.index) return "out of place";
  return index > position.index + 1 ? "chain broken" : undefined;
}

/** `undefined` where the secret does not unwrap. */
async function keyOrNothing(key: Promise<ContentKey>): Promise<ContentKey | undefined> {
  try {
    return await key;
  } catch (error) {
    if (isDenial(error)) return undefined;
    throw error;
  }
}

/** Web Crypto rejects so where a key or a tag does not fit. Any other failure may be over later. */
function isDenial(error: unknown): boolean {
  return error instanceof DOMException;
}
