/**
 * The secrets that two devices agree on, and that nobody else with the link knows: ECDH between ephemeral
 * keys. The first device commits to its key before it knows the other. ENVELOPE.md says why that matters.
 */
import { fromBase64url } from "../../protocol/base64.ts";
import { type Bytes, concat, equal, randomBytes, sha256, utf8 } from "../../protocol/bytes.ts";
import { Input, Malformed } from "../binary.ts";
import type { Identity } from "../types.ts";
import { COMMITMENT_BYTES } from "./link.ts";

const CONTEXT = "sync-server pairing 1";
const CURVE = { name: "ECDH", namedCurve: "P-256" };
/** An uncompressed point of P-256. */
export const POINT_BYTES = 65;
/** The length of the random bytes that the device with the key reveals. */
export const RANDOM_BYTES = 32;
const DIGITS = 6;
const NONCE_BYTES = 12;

/** An ephemeral key pair, for one pairing. */
export interface KeyPair {
  readonly privateKey: CryptoKey;
  readonly point: Bytes;
}

/** What the device with the key reveals once another one has answered. */
export interface Revealed {
  readonly point: Bytes;
  readonly random: Bytes;
}

/** Everything that the devices have exchanged before they share a secret. */
export interface Transcript {
  /** The one-time key, in whose log the devices exchange messages. */
  readonly identity: Identity;
  readonly commitment: Bytes;
  readonly revealed: Revealed;
  /** The point of the new device. */
  readonly answer: Bytes;
}

/** Returns a new key pair for one pairing. The private key cannot be exported. */
export async function newKeyPair(): Promise<KeyPair> {
  const pair = await crypto.subtle.generateKey(CURVE, false, ["deriveBits"]);
  const point = new Uint8Array(await crypto.subtle.exportKey("raw", pair.publicKey));
  return { privateKey: pair.privateKey, point };
}

/** Returns `RANDOM_BYTES` random bytes. */
export function newRandom(): Bytes {
  return randomBytes(RANDOM_BYTES);
}

/** The commitment in the link. */
export async function commitmentTo(
  identity: Identity,
  { point, random }: Revealed,
): Promise<Bytes> {
  const bytes = concat(utf8(`${CONTEXT} commitment\n`), hashOf(identity), point, random);
  return (await sha256(bytes)).slice(0, COMMITMENT_BYTES);
}

/** Whether what was revealed matches the commitment. */
export async function isPromised({
  identity,
  commitment,
  revealed,
}: Omit<Transcript, "answer">): Promise<boolean> {
  return equal(await commitmentTo(identity, revealed), commitment);
}

/** The shared secrets. Only a device with one of the two private keys can compute them. */
export class Agreement {
  readonly #secret: CryptoKey;
  readonly #transcript: Bytes;

  private constructor(secret: CryptoKey, transcript: Bytes) {
    this.#secret = secret;
    this.#transcript = transcript;
  }

  /**
   * Throws `Malformed` if the point is not on the curve.
   *
   * @param point of the other device
   */
  static async of(own: KeyPair, point: Bytes, said: Transcript): Promise<Agreement> {
    const { subtle } = crypto;
    const other = await pointOf(point);
    const shared = await subtle.deriveBits({ name: "ECDH", public: other }, own.privateKey, 256);
    const secret = await subtle.importKey("raw", shared, "HKDF", false, [
      "deriveBits",
      "deriveKey",
    ]);
    const { identity, commitment, revealed, answer } = said;
    const transcript = await sha256(
      concat(
        ...[utf8(`${CONTEXT} transcript\n`), hashOf(identity), commitment],
        ...[revealed.point, revealed.random, answer],
      ),
    );
    return new Agreement(secret, transcript);
  }

  /** Six digits, for a person to carry from one device to the other. */
  async code(): Promise<string> {
    const bits = await crypto.subtle.deriveBits(this.#for("code"), this.#secret, 64);
    const number = new DataView(bits).getBigUint64(0) % 10n ** BigInt(DIGITS);
    return number.toString().padStart(DIGITS, "0");
  }

  /** Encrypts content for the other device, under a key for this use only. */
  async seal(use: "key" | "taken", content: Bytes): Promise<Bytes> {
    const nonce = randomBytes(NONCE_BYTES);
    const algorithm = { name: "AES-GCM", iv: nonce };
    const sealed = await crypto.subtle.encrypt(algorithm, await this.#keyFor(use), content);
    return concat(nonce, new Uint8Array(sealed));
  }

  /** Decrypts content. Throws `Malformed` if the other device has not sealed it. */
  async open(use: "key" | "taken", sealed: Bytes): Promise<Bytes> {
    const input = new Input(sealed);
    const algorithm = { name: "AES-GCM", iv: input.take(NONCE_BYTES) };
    const key = await this.#keyFor(use);
    try {
      const content = input.take(input.left);
      return new Uint8Array(await crypto.subtle.decrypt(algorithm, key, content));
    } catch (error) {
      throw new Malformed("it was not sealed by the other device", { cause: error });
    }
  }

  #keyFor(use: string): Promise<CryptoKey> {
    const algorithm = { name: "AES-GCM", length: 256 };
    return crypto.subtle.deriveKey(this.#for(use), this.#secret, algorithm, false, [
      "encrypt",
      "decrypt",
    ]);
  }

  #for(use: string) {
    const info = utf8(`${CONTEXT} ${use}\n`);
    return { name: "HKDF", hash: "SHA-256", salt: this.#transcript, info };
  }
}

/** Anyone may have sent the point. Throws `Malformed` if it is not on the curve. */
async function pointOf(bytes: Bytes): Promise<CryptoKey> {
  // Some take a compressed one as well.
  if (bytes.length !== POINT_BYTES) throw new Malformed("a point has another length");
  try {
    return await crypto.subtle.importKey("raw", bytes, CURVE, false, []);
  } catch (error) {
    throw new Malformed("the point is not on the curve", { cause: error });
  }
}

function hashOf({ fingerprint }: Identity): Bytes {
  return fromBase64url(fingerprint) ?? new Uint8Array();
}
