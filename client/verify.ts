/**
 * Verifies runs: consecutive operations of one client id (ENVELOPE.md).
 *
 * Each operation names the hash of the one before it, so the signature of the last one covers the
 * whole run. Where a run is not valid, each operation is verified by itself, and the run is split
 * at the first fault: the operations before it are valid, the rest is refused. A valid operation
 * that does not decrypt is left out: the chain goes on after it.
 */
import { toBase64url } from "../protocol/base64.ts";
import { type Bytes, equal, sha256 } from "../protocol/bytes.ts";
import type { Line } from "../protocol/types.ts";
import {
  type Content,
  decrypt,
  ENVELOPE_VERSIONS,
  type Envelope,
  hashBytes,
  isGenuine,
  NO_PREVIOUS,
  originOf,
  parseEnvelope,
  unwrapContentKey,
} from "./envelope.ts";
import type { Cursor, Identity, Operation, Refusal, RefusalKind } from "./types.ts";

/** The valid part of a run. */
export interface VerifiedRun {
  readonly operations: Operation[];
  /** Valid operations that do not decrypt: no retry can help, so they are stepped over. */
  readonly unreadable: Refusal[];
  /** The hash of a valid operation, as in a cursor. */
  readonly hashOf: (index: number) => string;
  /** The position after the last of both; the one before the run, if there is none. */
  readonly cursor: Cursor | undefined;
  /** Why the rest is refused, if there is one. */
  readonly refusal: Refusal | undefined;
}

/** How many characters of a hash `Continues` has. */
export const SHORT_HASH = 24;

/** Each session of a client has one content key, of a few hundred bytes. */
const MAX_CACHED_KEYS = 1024;

/** The place of an operation in the chain of its client. */
interface Link {
  readonly index: number;
  /** SHA-256 of the bytes of its payload. */
  readonly hash: Bytes;
}

interface ParsedLine extends Link {
  /** `undefined` where the payload does not have the form of an envelope. */
  readonly envelope: Envelope | undefined;
}

/** Verifies and decrypts the operations of one user. */
export class RunVerifier {
  readonly #identity: Identity;
  /** Unwrapped content keys by the wrapped ones, the least recently used first. */
  readonly #keys = new Map<string, Promise<CryptoKey>>();
  /** The key used last, which most operations of a run share. */
  #last: { readonly wrapped: Bytes; readonly key: Promise<CryptoKey> } | undefined;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /**
   * Verifies and decrypts lines of one client id, in the order in which the server sent them.
   *
   * @param cursor the position before the run; `undefined` if nothing of the client was delivered
   */
  async verify(
    client: string,
    lines: readonly Line[],
    cursor: Cursor | undefined,
  ): Promise<VerifiedRun> {
    const parsed = await Promise.all(lines.map((line) => this.#parse(line)));
    const { valid, fault } = await this.#check(client, parsed, cursor);
    const envelopes = parsed.slice(0, valid).flatMap(({ envelope }) => envelope ?? []);
    const results = await Promise.allSettled(envelopes.map((one) => this.#decrypt(one)));
    const operations: Operation[] = [];
    const unreadable: Refusal[] = [];
    let continues = cursor?.continues;
    const indexOf = (i: number) => parsed[i]?.index ?? 0;
    const hashOf = (index: number) => toBase64url(parsed[index - indexOf(0)]?.hash ?? NO_PREVIOUS);
    for (const [i, result] of results.entries()) {
      const place = { client, index: indexOf(i) };
      if (result.status === "fulfilled") {
        operations.push({ ...place, data: result.value.data });
        if (place.index === 0) continues = result.value.continues;
      } else if (isUnreadable(result.reason)) unreadable.push({ kind: "unreadable", ...place });
      else throw result.reason;
    }
    const index = indexOf(valid - 1);
    const moved = { client, index, hash: hashOf(index), ...(continues && { continues }) };
    return {
      operations,
      unreadable,
      hashOf,
      cursor: valid === 0 ? cursor : moved,
      refusal: fault && { kind: fault, client, index: indexOf(valid) },
    };
  }

  async #parse({ index, payload }: Line): Promise<ParsedLine> {
    const envelope = parseEnvelope(this.#identity, payload);
    return { index, envelope, hash: envelope ? await sha256(envelope.bytes) : NO_PREVIOUS };
  }

  /** How many lines are valid, from the first on, and the fault of the next. */
  async #check(
    client: string,
    parsed: readonly ParsedLine[],
    cursor: Cursor | undefined,
  ): Promise<{ valid: number; fault?: RefusalKind }> {
    const origin = originOf(this.#identity, client);
    const start = {
      index: cursor?.index ?? -1,
      hash: cursor ? hashBytes(cursor.hash) : NO_PREVIOUS,
    };
    const faults = parsed.map((one, i) => faultOf(one, parsed[i - 1] ?? start, origin));
    const last = parsed.at(-1);
    const isWhole = last !== undefined && !faults.some(Boolean) && (await this.#isGenuine(last));
    if (isWhole) return { valid: parsed.length };
    for (const [i, one] of parsed.entries()) {
      const fault = (await this.#isGenuine(one)) ? faults[i] : "forged";
      if (fault !== undefined) return { valid: i, fault };
    }
    return { valid: parsed.length };
  }

  /** Whether the user has signed a line. */
  async #isGenuine({ envelope }: ParsedLine): Promise<boolean> {
    return envelope !== undefined && isGenuine(this.#identity, envelope);
  }

  async #decrypt(envelope: Envelope): Promise<Content> {
    return decrypt(envelope, await this.#contentKey(envelope.wrapped));
  }

  #contentKey(wrapped: Bytes): Promise<CryptoKey> {
    if (this.#last !== undefined && equal(this.#last.wrapped, wrapped)) return this.#last.key;
    const name = toBase64url(wrapped);
    const key = this.#keys.get(name) ?? unwrapContentKey(this.#identity, wrapped);
    this.#keys.delete(name);
    this.#keys.set(name, key);
    const oldest = this.#keys.keys().next().value;
    if (this.#keys.size > MAX_CACHED_KEYS && oldest !== undefined) this.#keys.delete(oldest);
    // A copy: the original is a view that would keep the whole payload in memory.
    this.#last = { wrapped: wrapped.slice(), key };
    return key;
  }
}

/**
 * Whether it can never be read: Web Crypto rejects so where a key or a tag does not fit, and content
 * that is cut has a wrong length. Any other failure may be over later.
 */
function isUnreadable(error: unknown): boolean {
  return error instanceof DOMException || error instanceof RangeError;
}

/** The fault of a line, if the user has signed it: without the signature, it is forged. */
function faultOf(
  { index, envelope, hash }: ParsedLine,
  previous: Link,
  origin: Bytes,
): RefusalKind | undefined {
  if (envelope === undefined) return "forged";
  if (!ENVELOPE_VERSIONS.includes(envelope.version)) return "other version";
  if (!equal(envelope.origin, origin) || envelope.index !== index) return "out of place";
  if (index === previous.index && !equal(hash, previous.hash)) return "fork";
  if (index <= previous.index) return "out of place";
  if (index > previous.index + 1) return "chain broken";
  return equal(envelope.previous, previous.hash) ? undefined : "chain broken";
}
