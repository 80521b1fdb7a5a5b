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
  /** The operation indexes of those that do not open: E-4.6. */
  readonly unreadable: readonly number[];
  readonly refusal: string | undefined;
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
    let { index, hash } = position;
    for (const line of lines) {
      const bytes = Buffer.from(line.payload, "base64url");
      const refusal = this.#refusalOf(client, line, bytes, { index, hash });
      if (refusal !== undefined) return { delivered, hash, unreadable, refusal };
      const data = this.#open(bytes);
      if (data === undefined) unreadable.push(line.operation_index);
      else delivered.push(data);
      index = line.operation_index;
      hash = sha256(bytes);
    }
    return { delivered, hash, unreadable, refusal: undefined };
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
    if (bytes[0] !== 1) return "other version";
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
