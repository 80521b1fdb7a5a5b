/**
 * A user's public key, in any spelling, and the user's fingerprint.
 *
 * The key is read here and not by the runtime's own crypto, because the runtimes differ in what
 * they accept (trailing bytes, other encodings of a length, keys above 4096 bits), and a key with
 * two encodings would be two users. A key has exactly one: SubjectPublicKeyInfo of RFC 5280 in DER,
 * with the RSA algorithm and key of RFC 3279 and RFC 8017.
 */
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Fingerprint } from "../oplog/names.ts";
import {
  BIT_STRING,
  type Element,
  MalformedDer,
  readElement,
  readPositiveInteger,
  SEQUENCE,
} from "./der.ts";

const MIN_BITS = 2048;
const MAX_BITS = 8192;

/** Characters that a key may have in any spelling: some 1,500 are needed. */
const MAX_LENGTH = 8192;

/** What people take for a public key in PEM. */
const OTHER_LABELS = ["RSA PUBLIC KEY", "CERTIFICATE", "SSH2 PUBLIC KEY", "PGP PUBLIC KEY BLOCK"];

/** Crypto libraries refuse longer exponents, which make each use of the key expensive. */
const MAX_EXPONENT_BITS = 32;

/** `rsaEncryption` with its NULL parameters: the only algorithm identifier that is accepted. */
const RSA_ENCRYPTION = Buffer.from("300d06092a864886f70d0101010500", "hex");

/** The text is not an RSA public key. The message says what it is instead, never what it holds. */
export class InvalidPublicKey extends Error {
  override name = "InvalidPublicKey";
}

/** A user's public key. */
export interface PublicKey {
  readonly fingerprint: Fingerprint;
  /** SubjectPublicKeyInfo in DER. */
  readonly spki: Uint8Array<ArrayBuffer>;
}

/**
 * An RSA public key of 2048 to 8192 bits, given as SPKI in PEM, or as base64 or base64url of the
 * DER. Throws `InvalidPublicKey`.
 */
export function readPublicKey(text: string): PublicKey {
  const der = decodeDer(text);
  checkSpki(der);
  const fingerprint = createHash("sha256").update(der).digest("base64url") as Fingerprint;
  // A copy: a short buffer keeps a larger one in memory that it is a part of.
  return { fingerprint, spki: new Uint8Array(der) };
}

/** The fingerprint of a public key. Throws `InvalidPublicKey`. */
export function fingerprintOf(publicKey: string): Fingerprint {
  return readPublicKey(publicKey).fingerprint;
}

/** The modulus and the exponent of a key. */
export function numbersOf({ spki }: PublicKey): { modulus: bigint; exponent: bigint } {
  const der = Buffer.from(spki.buffer, spki.byteOffset, spki.byteLength);
  const { modulus, exponent } = checkSpki(der);
  const number = ({ start, end }: Element) =>
    BigInt(`0x${der.subarray(start, end).toString("hex")}`);
  return { modulus: number(modulus), exponent: number(exponent) };
}

/** Characters and bytes of keys that are cached. */
const MAX_CACHED = 8 * 1024 * 1024;

/** Caches the keys seen lately: most requests bring one of those. */
export class PublicKeyCache {
  readonly #keys = new LRUCache<string, PublicKey>({
    maxSize: MAX_CACHED,
    sizeCalculation: ({ spki }, text) => text.length + spki.byteLength,
  });

  /** As `readPublicKey`. */
  keyOf(text: string): PublicKey {
    const cached = this.#keys.get(text);
    if (cached !== undefined) return cached;
    const key = readPublicKey(text);
    // A copy: an engine may keep the whole request in memory for a part of it.
    this.#keys.set(Buffer.from(text).toString(), key);
    return key;
  }
}

function decodeDer(text: string): Buffer {
  if (text.length > MAX_LENGTH) {
    throw new InvalidPublicKey(`this is too long for an RSA key of ${MAX_BITS} bits`);
  }
  const label = /-----BEGIN ([A-Z0-9 ]{1,64})-----/.exec(text)?.[1];
  if (label?.includes("PRIVATE KEY")) {
    throw new InvalidPublicKey(
      "this is a private key: it must never leave the device; send the public key",
    );
  }
  if (label !== undefined && label !== "PUBLIC KEY") {
    // Only a known label is quoted: the text may be anything.
    const what = OTHER_LABELS.includes(label) ? `a ${label}` : "something else";
    throw new InvalidPublicKey(`PEM must hold a PUBLIC KEY (SPKI), not ${what}`);
  }
  if (text.startsWith("ssh-")) {
    throw new InvalidPublicKey(
      "this is an OpenSSH key: convert it to SPKI with ssh-keygen -e -m PKCS8 -f KEY.pub",
    );
  }
  const base64 = /^\s*-----BEGIN PUBLIC KEY-----([^-]*)-----END PUBLIC KEY-----\s*$/.exec(
    text,
  )?.[1];
  const compact = (base64 ?? text).replace(/\s+/g, "");
  if (!/^[A-Za-z0-9+/_-]+={0,2}$/.test(compact)) {
    throw new InvalidPublicKey("this is not PEM, base64 or base64url of an RSA public key (SPKI)");
  }
  return Buffer.from(compact, "base64");
}

function checkSpki(der: Buffer): { modulus: Element; exponent: Element } {
  const { modulus, exponent } = readSpki(der);
  if (modulus.bits < MIN_BITS || modulus.bits > MAX_BITS) {
    throw new InvalidPublicKey(
      `an RSA key of ${MIN_BITS} to ${MAX_BITS} bits is needed, this one has ${modulus.bits}`,
    );
  }
  if (!modulus.odd || !exponent.odd || exponent.bits < 2 || exponent.bits > MAX_EXPONENT_BITS) {
    throw new InvalidPublicKey("no RSA key has this modulus and exponent");
  }
  return { modulus, exponent };
}

function readSpki(der: Buffer) {
  try {
    const spki = readElement(der, 0, SEQUENCE, der.length);
    const algorithmEnd = spki.start + RSA_ENCRYPTION.length;
    if (!der.subarray(spki.start, algorithmEnd).equals(RSA_ENCRYPTION)) {
      throw new InvalidPublicKey("this is not an RSA public key in SPKI form (rsaEncryption)");
    }
    const bits = readElement(der, algorithmEnd, BIT_STRING, spki.end);
    // The first byte counts the unused bits at the end.
    if (der[bits.start] !== 0) throw new MalformedDer();
    const key = readElement(der, bits.start + 1, SEQUENCE, bits.end);
    const modulus = readPositiveInteger(der, key.start);
    const exponent = readPositiveInteger(der, modulus.end);
    if (exponent.end !== key.end) throw new MalformedDer();
    return { modulus, exponent };
  } catch (error) {
    if (!(error instanceof MalformedDer)) throw error;
    throw new InvalidPublicKey("this is not the DER encoding (SPKI) of an RSA public key");
  }
}
