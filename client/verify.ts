/**
 * From lines of a response to operations that are known to be the user's own, in their place.
 *
 * The signature of a run's last operation vouches for all of it: each operation names the hash of
 * the one before. Where a run does not hold, it is gone through one by one, and split at the first
 * fault: what lies before is a run of its own, and what lies behind is refused.
 */
import { type Bytes, equal, fromBase64url, sha256, toBase64url } from "../protocol/bytes.ts";
import type { Line } from "../protocol/types.ts";
import {
  decrypt,
  type Envelope,
  InvalidEnvelope,
  isGenuine,
  NO_PREVIOUS,
  parseEnvelope,
  unwrapContentKey,
} from "./envelope.ts";
import type { Cursor, Identity, Operation, Refusal, RefusalKind } from "./types.ts";

/** What is made of a run. */
export interface Opened {
  readonly operations: Operation[];
  /** After the last of them; as it was, if there is none. */
  readonly cursor: Cursor | undefined;
  readonly refusal: Refusal | undefined;
}

/** An unwrapped content key has some hundred bytes; a session of a client has one. */
const KEYS_KEPT = 1024;

/** A line, taken apart. */
interface Part {
  readonly line: Line;
  readonly envelope: Envelope | InvalidEnvelope;
  /** SHA-256 of the payload's bytes. */
  readonly hash: Bytes;
}

/** Opens runs of lines for one user. */
export class RunVerifier {
  readonly #identity: Identity;
  /** By the wrapped key, the one used longest ago first. */
  readonly #keys = new Map<string, Promise<CryptoKey>>();
  /** The one used last, which most operations of a run have in common. */
  #last: { readonly wrapped: Bytes; readonly key: Promise<CryptoKey> } | undefined;

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  /**
   * Opens lines of one client, as they came.
   *
   * @param cursor how far this client was taken before
   */
  async open(client: string, lines: readonly Line[], cursor: Cursor | undefined): Promise<Opened> {
    const parts = await Promise.all(lines.map((line) => this.#takeApart(line)));
    const { holding, kind } = await this.#check(client, parts, cursor);
    const results = await Promise.allSettled(
      parts.slice(0, holding).map(({ envelope }) => this.#decrypt(envelope)),
    );
    const operations: Operation[] = [];
    let refused = kind;
    for (const [i, result] of results.entries()) {
      if (result.status === "rejected") {
        refused = "unreadable";
        break;
      }
      operations.push({ client, index: parts[i]?.line.index ?? 0, data: result.value });
    }
    const taken = operations.length;
    const last = parts[taken - 1];
    return {
      operations,
      cursor:
        last === undefined
          ? cursor
          : { client, index: last.line.index, hash: toBase64url(last.hash) },
      refusal:
        refused === undefined
          ? undefined
          : { kind: refused, client, index: parts[taken]?.line.index ?? 0 },
    };
  }

  async #takeApart(line: Line): Promise<Part> {
    try {
      const envelope = parseEnvelope(this.#identity, line.payload);
      return { line, envelope, hash: await sha256(envelope.bytes) };
    } catch (error) {
      if (!(error instanceof InvalidEnvelope)) throw error;
      return { line, envelope: error, hash: NO_PREVIOUS };
    }
  }

  /** How many parts hold, from the first on, and what is wrong with the next. */
  async #check(
    client: string,
    parts: readonly Part[],
    cursor: Cursor | undefined,
  ): Promise<{ holding: number; kind?: RefusalKind }> {
    const start = { index: cursor?.index ?? -1, hash: hashOf(cursor) };
    const before = (i: number) => {
      const part = parts[i - 1];
      return part === undefined ? start : { index: part.line.index, hash: part.hash };
    };
    const last = parts.at(-1)?.envelope;
    const holds =
      parts.every((part, i) => follows(part, client, this.#identity, before(i))) &&
      last !== undefined &&
      !(last instanceof InvalidEnvelope) &&
      (await isGenuine(this.#identity, last));
    if (holds) return { holding: parts.length };
    for (const [i, part] of parts.entries()) {
      const kind = await this.#fault(part, client, before(i));
      if (kind !== undefined) return { holding: i, kind };
    }
    return { holding: parts.length };
  }

  /** What is wrong with one line, by itself and after the one before it. */
  async #fault(
    { line, envelope, hash }: Part,
    client: string,
    before: Before,
  ): Promise<RefusalKind | undefined> {
    if (envelope instanceof InvalidEnvelope) {
      return envelope.version === undefined ? "forged" : "other version";
    }
    if (!(await isGenuine(this.#identity, envelope))) return "forged";
    if (envelope.fingerprint !== this.#identity.fingerprint) return "out of place";
    if (envelope.client !== client || envelope.index !== line.index) return "out of place";
    if (line.index === before.index && !equal(hash, before.hash)) return "fork";
    if (line.index <= before.index) return "out of place";
    if (line.index > before.index + 1) return "chain broken";
    return equal(envelope.previous, before.hash) ? undefined : "chain broken";
  }

  async #decrypt(envelope: Envelope | InvalidEnvelope): Promise<Bytes> {
    if (envelope instanceof InvalidEnvelope) throw envelope;
    return decrypt(envelope, await this.#contentKey(envelope.wrapped));
  }

  #contentKey(wrapped: Bytes): Promise<CryptoKey> {
    if (this.#last !== undefined && equal(this.#last.wrapped, wrapped)) return this.#last.key;
    const name = toBase64url(wrapped);
    const key = this.#keys.get(name) ?? unwrapContentKey(this.#identity, wrapped);
    this.#keys.delete(name);
    this.#keys.set(name, key);
    const oldest = this.#keys.keys().next().value;
    if (this.#keys.size > KEYS_KEPT && oldest !== undefined) this.#keys.delete(oldest);
    // A copy: the original is a part of a whole payload.
    this.#last = { wrapped: wrapped.slice(), key };
    return key;
  }
}

/** What was taken last. */
interface Before {
  readonly index: number;
  readonly hash: Bytes;
}

function hashOf(cursor: Cursor | undefined): Bytes {
  if (cursor === undefined) return NO_PREVIOUS;
  const hash = fromBase64url(cursor.hash);
  if (hash?.length !== NO_PREVIOUS.length) throw new TypeError("a cursor's hash is not SHA-256");
  return hash;
}

/** Whether a part is in its place right behind another, as far as it says itself. */
function follows(
  { line, envelope }: Part,
  client: string,
  { fingerprint }: Identity,
  before: Before,
): boolean {
  return (
    !(envelope instanceof InvalidEnvelope) &&
    envelope.fingerprint === fingerprint &&
    envelope.client === client &&
    envelope.index === line.index &&
    line.index === before.index + 1 &&
    equal(envelope.previous, before.hash)
  );
}
