/**
 * A receiver of envelopes, written from ENVELOPE.md with `node:crypto` and nothing of the client's
 * own code: slow and short. Its rules are named by their ids.
 */
import {
  constants,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  hkdfSync,
  type KeyObject,
  privateDecrypt,
  verify,
} from "node:crypto";

export interface Received {
  /** The operations delivered. */
  readonly delivered: readonly ReceivedOperation[];
  /** What was received of the client then. */
  readonly position: Position;
  /** What the operation with the index 0 continues, if it is among them: E-1.6. */
  readonly continues: readonly Continued[];
  /** The operation indexes of those with malformed content: E-4.6. */
  readonly unreadable: readonly number[];
  readonly refusal: string | undefined;
}

/** What an operation carries, but for E-1.6. */
export interface ReceivedOperation {
  /** E-1.9. */
  readonly entries: readonly Buffer[];
  readonly heads: readonly ReceivedHead[];
  /** E-1.13. */
  readonly snapshot?: ReceivedSnapshot | undefined;
}

/** E-1.13: the state, and the position of each client id. */
export interface ReceivedSnapshot {
  readonly positions: readonly (Position & {
    readonly client: string;
    readonly continues: readonly Continued[];
  })[];
  readonly state: Buffer;
}

/** One part of E-1.8. */
export interface ReceivedHead {
  readonly client: string;
  readonly index: number;
  readonly tag: string;
}

/** One part of E-1.7. */
export interface Continued {
  readonly client: string;
  readonly index: number;
  readonly tags: readonly string[];
}

export interface ReceivedLine {
  readonly operation_index: number;
  readonly payload: string;
}

/** What was received of the client before: E-3.1. */
export interface Position {
  readonly index: number;
  readonly tag: Buffer;
  readonly previous: Buffer;
  readonly session: { readonly first: number; readonly wrapped: Buffer } | undefined;
}

const ZEROS = Buffer.alloc(16);
export const NOTHING: Position = { index: -1, tag: ZEROS, previous: ZEROS, session: undefined };

/** What becomes of one line. */
type Opened =
  | { readonly position: Position; readonly plain: Buffer; readonly isSnapshot: boolean }
  | { readonly refusal: string };

export class ReferenceReceiver {
  readonly fingerprint: Buffer;
  readonly #private: KeyObject;
  readonly #public: KeyObject;
  /** `k` of E-1.2. */
  readonly #modulus: number;

  constructor(pkcs8: Buffer) {
    this.#private = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
    this.#public = createPublicKey(this.#private);
    const spki = this.#public.export({ type: "spki", format: "der" });
    this.fingerprint = createHash("sha256").update(spki).digest();
    const { n = "" } = this.#public.export({ format: "jwk" });
    this.#modulus = Buffer.from(n, "base64url").length;
  }

  /** Receives the lines of one client, one after the other. */
  receive(client: string, lines: readonly ReceivedLine[], start: Position): Received {
    const delivered: ReceivedOperation[] = [];
    const unreadable: number[] = [];
    let continues: readonly Continued[] = [];
    let position = start;
    for (const { operation_index: index, payload } of lines) {
      const opened = this.#receiveOne(client, index, payload, position);
      if ("refusal" in opened) {
        return { delivered, position, continues, unreadable, refusal: opened.refusal };
      }
      const modulus = opened.isSnapshot ? this.#modulus : undefined;
      const content = contentOf(opened.plain, modulus);
      if (content === undefined) unreadable.push(index);
      else {
        const { entries, heads, snapshot } = content;
        delivered.push({ entries, heads, ...(snapshot && { snapshot }) });
        if (index === 0 || opened.isSnapshot) continues = content.continues;
      }
      position = opened.position;
    }
    return { delivered, position, continues, unreadable, refusal: undefined };
  }

  /** E-3.11: a snapshot with which an answer begins says itself what came before. */
  receiveFirst(client: string, line: ReceivedLine): Received {
    const bytes = Buffer.from(line.payload, "base64url");
    const end = 3 + 2 * this.#modulus;
    if (bytes[0] !== 130) throw new RangeError("it is no snapshot");
    const tag = bytes.subarray(end, end + 16);
    const before = { ...NOTHING, index: line.operation_index - 1, tag };
    return this.receive(client, [line], before);
  }

  /** The checks of E-4.5, but for the last one. */
  #receiveOne(client: string, index: number, payload: string, before: Position): Opened {
    const bytes = Buffer.from(payload, "base64url");
    // E-1.1: exactly one spelling.
    if (bytes.toString("base64url") !== payload) return { refusal: "forged" };
    const begins = bytes[1] === 0 && bytes[2] === 0;
    const isSnapshot = bytes[0] === 130;
    const least = 31 + (begins ? 2 * this.#modulus : 0) + (isSnapshot ? 16 : 0);
    if (bytes.length < least || (isSnapshot && !begins)) return { refusal: "forged" };
    if (bytes[0] !== 2 && !isSnapshot) return { refusal: "other version" };
    const tag = bytes.subarray(-16);
    if (index < before.index || (index === before.index && tag.equals(before.tag))) {
      return { refusal: "out of place" };
    }
    if (index > before.index + 1) return { refusal: "chain broken" };
    // A rival of the last operation follows what that followed.
    const isRival = index === before.index;
    const opened = this.#open(client, index, bytes, {
      ...before,
      tag: isRival ? before.previous : before.tag,
    });
    return isRival && !("refusal" in opened) ? { refusal: "fork" } : opened;
  }

  /** E-2.1 to E-2.4, for an operation that follows the one with a tag. */
  #open(client: string, index: number, bytes: Buffer, before: Position): Opened {
    const k = this.#modulus;
    const distance = bytes.readUInt16BE(1);
    const isSnapshot = bytes[0] === 130;
    const headEnd = (distance === 0 ? 3 + 2 * k : 3) + (isSnapshot ? 16 : 0);
    const place = Buffer.concat([this.#placeOf(client, index), before.tag]);
    let { session } = before;
    if (distance === 0) {
      session = { first: index, wrapped: bytes.subarray(3, 3 + k) };
      const context = Buffer.from("sync-server envelope 2 session\n");
      const signed = Buffer.concat([context, place, session.wrapped]);
      const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
      const signature = bytes.subarray(3 + k, 3 + 2 * k);
      if (!verify("sha256", signed, { key: this.#public, ...pss }, signature)) {
        return { refusal: "forged" };
      }
    }
    if (session?.first !== index - distance) return { refusal: "forged" };
    const secret = this.#unwrap(session.wrapped);
    if (secret?.length !== 32) return { refusal: "unreadable" };
    const label = Buffer.from("sync-server envelope 2 content key\n");
    const info = Buffer.concat([label, this.#placeOf(client, session.first)]);
    const key = Buffer.from(hkdfSync("sha256", secret, Buffer.alloc(0), info, 32));
    const decipher = createDecipheriv("aes-256-gcm", key, bytes.subarray(headEnd, headEnd + 12));
    decipher.setAAD(Buffer.concat([place, bytes.subarray(0, headEnd)]));
    const tag = bytes.subarray(-16);
    decipher.setAuthTag(tag);
    const parts = [decipher.update(bytes.subarray(headEnd + 12, -16))];
    try {
      parts.push(decipher.final());
    } catch {
      // Whatever the crypto library throws here, it means that the tag does not hold.
      return { refusal: "forged" };
    }
    const position = { index, tag, previous: before.tag, session };
    return { plain: Buffer.concat(parts), position, isSnapshot };
  }

  /** Fingerprint, client id and operation index, as E-2.2 to E-2.4 have them. */
  #placeOf(client: string, index: number): Buffer {
    const number = Buffer.alloc(8);
    number.writeBigUInt64BE(BigInt(index));
    return Buffer.concat([
      this.fingerprint,
      Buffer.from(client.replaceAll("-", ""), "hex"),
      number,
    ]);
  }

  /** E-2.1; `undefined` where it does not unwrap. */
  #unwrap(wrapped: Buffer): Buffer | undefined {
    const oaep = {
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: "sha256",
      oaepLabel: Buffer.from("sync-server envelope 2 secret"),
    };
    try {
      return privateDecrypt({ key: this.#private, ...oaep }, wrapped);
    } catch {
      // Whatever the crypto library throws here, it means that there is no secret.
      return undefined;
    }
  }
}

/**
 * E-1.5 to E-1.9, and E-1.13 where there is a length of wrapped secrets; `undefined` where it is
 * malformed: E-1.11.
 */
function contentOf(
  plain: Buffer,
  modulus: number | undefined,
): (ReceivedOperation & { readonly continues: readonly Continued[] }) | undefined {
  const parts = plain[0];
  if (parts === undefined || parts > 3) return undefined;
  let at = 1;
  const take = (length: number): Buffer => {
    if (at + length > plain.length) throw new RangeError("the content is cut");
    at += length;
    return plain.subarray(at - length, at);
  };
  const takeOperation = () => ({
    client: take(16)
      .toString("hex")
      .replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
    index: Number(take(8).readBigUInt64BE()),
  });
  const times = <T>(count: number, one: () => T): T[] => Array.from({ length: count }, one);
  const takeContinues = () =>
    times(take(1).readUInt8(), () => ({
      ...takeOperation(),
      tags: times(take(2).readUInt16BE(), () => take(15).toString("base64url")),
    }));
  const takePosition = (k: number) => {
    const place = takeOperation();
    const [tag, previous] = [take(16), take(16)];
    const first = place.index - take(2).readUInt16BE();
    if (first < 0 || place.index > Number.MAX_SAFE_INTEGER) throw new RangeError("no such place");
    const session = { first, wrapped: take(k) };
    return { ...place, tag, previous, session, continues: takeContinues() };
  };
  try {
    const continues = (parts & 1) === 0 ? [] : takeContinues();
    const heads = times((parts & 2) === 0 ? 0 : take(1).readUInt8(), () => ({
      ...takeOperation(),
      tag: take(16).toString("base64url"),
    }));
    if (modulus !== undefined) {
      const positions = times(takeLength(take), () => takePosition(modulus));
      const state = take(plain.length - at);
      return { continues, heads, entries: [], snapshot: { positions, state } };
    }
    const entries: Buffer[] = [];
    while (at < plain.length) entries.push(take(takeLength(take)));
    return { continues, heads, entries, snapshot: undefined };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** LEB128, of at most four bytes. */
function takeLength(take: (length: number) => Buffer, place = 1): number {
  if (place === 2 ** 28) throw new RangeError("a length has five bytes");
  const byte = take(1).readUInt8();
  return (byte % 128) * place + (byte < 128 ? 0 : takeLength(take, place * 128));
}
