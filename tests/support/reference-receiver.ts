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
  type KeyObject,
  privateDecrypt,
  verify,
} from "node:crypto";

export interface Received {
  /** The data of the operations delivered. */
  readonly delivered: readonly Buffer[];
  /** The SHA-256 of the last payload delivered. */
  readonly hash: Buffer;
  /** What the operation with the index 0 continues, if it is among them: E-1.6. */
  readonly continues: readonly Continued[];
  /** The operation indexes of those that do not open: E-4.6. */
  readonly unreadable: readonly number[];
  readonly refusal: string | undefined;
}

/** One part of E-1.7. */
export interface Continued {
  readonly client: string;
  readonly index: number;
  readonly hashes: readonly string[];
}

export interface ReceivedLine {
  readonly operation_index: number;
  readonly payload: string;
}

/** What was received of the client before: E-3.1. */
export interface Position {
  readonly index: number;
  readonly hash: Buffer;
}

export const NOTHING: Position = { index: -1, hash: Buffer.alloc(32) };

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest();

export class ReferenceReceiver {
  readonly fingerprint: Buffer;
  readonly #private: KeyObject;
  readonly #public: KeyObject;
  /** `k` of E-1.2. */
  readonly #modulus: number;

  constructor(pkcs8: Buffer) {
    this.#private = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
    this.#public = createPublicKey(this.#private);
    this.fingerprint = sha256(this.#public.export({ type: "spki", format: "der" }));
    const { n = "" } = this.#public.export({ format: "jwk" });
    this.#modulus = Buffer.from(n, "base64url").length;
  }

  /** Receives the lines of one client, each with its signature, which E-3.4 lets others skip. */
  receive(client: string, lines: readonly ReceivedLine[], position: Position): Received {
    const delivered: Buffer[] = [];
    const unreadable: number[] = [];
    let continues: readonly Continued[] = [];
    let { index, hash } = position;
    for (const line of lines) {
      const bytes = Buffer.from(line.payload, "base64url");
      const refusal = this.#refusalOf(client, line, bytes, { index, hash });
      if (refusal !== undefined) return { delivered, hash, continues, unreadable, refusal };
      const opened = contentOf(this.#open(bytes), bytes[0] === 2);
      if (opened === undefined) unreadable.push(line.operation_index);
      else {
        delivered.push(opened.data);
        if (line.operation_index === 0) continues = opened.continues;
      }
      index = line.operation_index;
      hash = sha256(bytes);
    }
    return { delivered, hash, continues, unreadable, refusal: undefined };
  }

  /** The first of the faults of E-4.5 that a line has, but for the last check. */
  #refusalOf(
    client: string,
    { operation_index: index, payload }: ReceivedLine,
    bytes: Buffer,
    before: Position,
  ): string | undefined {
    // E-1.1: exactly one spelling.
    if (bytes.toString("base64url") !== payload) return "forged";
    if (bytes.length < 117 + 2 * this.#modulus || !this.#isSigned(bytes)) return "forged";
    if (bytes[0] !== 1 && bytes[0] !== 2) return "other version";
    if (!bytes.subarray(1, 33).equals(this.fingerprint)) return "out of place";
    const id = Buffer.from(client.replaceAll("-", ""), "hex");
    if (!bytes.subarray(33, 49).equals(id) || bytes.readBigUInt64BE(49) !== BigInt(index))
      return "out of place";
    if (index === before.index && !sha256(bytes).equals(before.hash)) return "fork";
    if (index <= before.index) return "out of place";
    const follows = index === before.index + 1 && bytes.subarray(57, 89).equals(before.hash);
    return follows ? undefined : "chain broken";
  }

  /** E-2.3. */
  #isSigned(bytes: Buffer): boolean {
    const { associated, ciphertext, signature } = this.#partsOf(bytes);
    const context = Buffer.from("sync-server envelope 1 signature\n");
    const signed = Buffer.concat([context, associated, sha256(ciphertext)]);
    const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 };
    return verify("sha256", signed, { key: this.#public, ...pss }, signature);
  }

  /** E-2.1 and E-2.2; `undefined` where it does not open. */
  #open(bytes: Buffer): Buffer | undefined {
    const { associated, ciphertext, wrapped } = this.#partsOf(bytes);
    const oaep = {
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: "sha256",
      oaepLabel: Buffer.from("sync-server envelope 1 content key"),
    };
    try {
      const key = privateDecrypt({ key: this.#private, ...oaep }, wrapped);
      const decipher = createDecipheriv("aes-256-gcm", key, associated.subarray(-12));
      decipher.setAAD(associated);
      decipher.setAuthTag(ciphertext.subarray(-16));
      return Buffer.concat([decipher.update(ciphertext.subarray(0, -16)), decipher.final()]);
    } catch {
      // Whatever the crypto library throws here, it means that the payload does not open.
      return undefined;
    }
  }

  /** E-1.2. */
  #partsOf(bytes: Buffer) {
    const wrappedEnd = 89 + this.#modulus;
    const signatureAt = bytes.length - this.#modulus;
    return {
      wrapped: bytes.subarray(89, wrappedEnd),
      associated: bytes.subarray(0, wrappedEnd + 12),
      ciphertext: bytes.subarray(wrappedEnd + 12, signatureAt),
      signature: bytes.subarray(signatureAt),
    };
  }
}

/** E-1.7; `undefined` where it is cut. */
function contentOf(
  plain: Buffer | undefined,
  isContinuing: boolean,
): { readonly data: Buffer; readonly continues: readonly Continued[] } | undefined {
  if (plain === undefined || !isContinuing) return plain && { data: plain, continues: [] };
  const continues: Continued[] = [];
  let rest = plain.subarray(1);
  for (let left = plain[0] ?? 0; left > 0; left--) {
    if (rest.length < 26) return undefined;
    const count = rest.readUInt16BE(24);
    if (rest.length < 26 + 18 * count) return undefined;
    continues.push({
      client: rest.toString("hex", 0, 16).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-"),
      index: Number(rest.readBigUInt64BE(16)),
      hashes: Array.from({ length: count }, (_, i) =>
        rest.toString("base64url", 26 + 18 * i, 44 + 18 * i),
      ),
    });
    rest = rest.subarray(26 + 18 * count);
  }
  return plain.length === 0 ? undefined : { data: rest, continues };
}
