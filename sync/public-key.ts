/**
 * A user's public key, in any spelling, to the user's fingerprint.
 *
 * The key is read here and not by the runtime's own crypto, because the runtimes differ in what
 * they take (trailing bytes, other encodings of a length, keys above 4096 bits), and a key with
 * two encodings would be two users. DER is read strictly, so that a key has exactly one encoding:
 * SubjectPublicKeyInfo of RFC 5280, with the RSA algorithm and key of RFC 3279 and RFC 8017.
 */
import { createHash } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { Fingerprint } from "../oplog/names.ts";

const MIN_BITS = 2048;
const MAX_BITS = 8192;

/** Characters that a key may have in any spelling: some 1,500 are needed. */
const MAX_LENGTH = 8192;

/** What people take for a public key in PEM. */
const OTHER_LABELS = ["RSA PUBLIC KEY", "CERTIFICATE", "SSH2 PUBLIC KEY", "PGP PUBLIC KEY BLOCK"];

/** Crypto libraries refuse longer exponents: they make each use of the key dear. */
const MAX_EXPONENT_BITS = 32;

/** `rsaEncryption` with its NULL parameters: the only algorithm identifier that is taken. */
const RSA_ENCRYPTION = Buffer.from("300d06092a864886f70d0101010500", "hex");

const SEQUENCE = 0x30;
const BIT_STRING = 0x03;
const INTEGER = 0x02;

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
  const der = decode(text);
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

/** How many characters and bytes of keys are remembered. */
const MAX_REMEMBERED = 8 * 1024 * 1024;

/** Remembers keys that were seen lately: most requests bring one of those. */
export class PublicKeyCache {
  readonly #known = new LRUCache<string, PublicKey>({
    maxSize: MAX_REMEMBERED,
    sizeCalculation: ({ spki }, text) => text.length + spki.byteLength,
  });

  /** As `readPublicKey`. */
  keyOf(text: string): PublicKey {
    const known = this.#known.get(text);
    if (known !== undefined) return known;
    const key = readPublicKey(text);
    // A copy: an engine may keep the whole request in memory for a text that was cut out of it.
    this.#known.set(Buffer.from(text).toString(), key);
    return key;
  }
}

function decode(text: string): Buffer {
  if (text.length > MAX_LENGTH) {
    throw new InvalidPublicKey(`this is too long for an RSA key of ${MAX_BITS} bits`);
  }
  const label = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(text)?.[1];
  if (label?.includes("PRIVATE KEY")) {
    throw new InvalidPublicKey(
      "this is a private key: it must never leave the device; send the public key",
    );
  }
  if (label !== undefined && label !== "PUBLIC KEY") {
    // Only a label that is known is quoted: the text may be anything.
    const what = OTHER_LABELS.includes(label) ? `a ${label}` : "something else";
    throw new InvalidPublicKey(`PEM must hold a PUBLIC KEY (SPKI), not ${what}`);
  }
  if (text.startsWith("ssh-")) {
    throw new InvalidPublicKey(
      "this is an OpenSSH key: make it SPKI with ssh-keygen -e -m PKCS8 -f KEY.pub",
    );
  }
  const base64 = /^\s*-----BEGIN PUBLIC KEY-----([^-]*)-----END PUBLIC KEY-----\s*$/.exec(
    text,
  )?.[1];
  const compact = (base64 ?? text).replace(/\s+/g, "").replace(/=+$/, "");
  if (!/^[A-Za-z0-9+/_-]+$/.test(compact)) {
    throw new InvalidPublicKey("this is not PEM, base64 or base64url of an RSA public key (SPKI)");
  }
  return Buffer.from(compact, "base64");
}

function checkSpki(der: Buffer): { modulus: Element; exponent: Element } {
  const spki = element(der, 0, SEQUENCE, der.length);
  const algorithmEnd = spki.start + RSA_ENCRYPTION.length;
  if (!der.subarray(spki.start, algorithmEnd).equals(RSA_ENCRYPTION)) {
    throw new InvalidPublicKey("this is not an RSA public key in SPKI form (rsaEncryption)");
  }
  const bits = element(der, algorithmEnd, BIT_STRING, spki.end);
  if (der[bits.start] !== 0) throw malformed();
  const key = element(der, bits.start + 1, SEQUENCE, bits.end);
  const modulus = positiveInteger(der, key.start);
  const exponent = positiveInteger(der, modulus.end);
  if (exponent.end !== key.end) throw malformed();

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

/** Where an element's contents begin, and where they end. */
interface Element {
  readonly start: number;
  readonly end: number;
}

/** Where an element's contents lie. With `mustEndAt`, it is the last one in what encloses it. */
function element(der: Buffer, at: number, tag: number, mustEndAt?: number) {
  const head = der[at + 1];
  if (der[at] !== tag || head === undefined) throw malformed();
  const lengthBytes = head < 0x80 ? 0 : head - 0x80;
  // Two bytes of length are ample for 8192 bits.
  if (lengthBytes > 2 || at + 2 + lengthBytes > der.length) throw malformed();
  const length = lengthBytes === 0 ? head : der.readUIntBE(at + 2, lengthBytes);
  const shortest = length < 0x80 ? 0 : length < 0x100 ? 1 : 2;
  const start = at + 2 + lengthBytes;
  const end = start + length;
  if (lengthBytes !== shortest || end > (mustEndAt ?? der.length)) throw malformed();
  if (mustEndAt !== undefined && end !== mustEndAt) throw malformed();
  return { start, end };
}

function positiveInteger(der: Buffer, at: number) {
  const { start, end } = element(der, at, INTEGER);
  const lead = der[start];
  const second = der[start + 1] ?? 0;
  const last = der[end - 1] ?? 0;
  // A set top bit would be a negative number; a zero in front is there only to prevent that.
  if (end === start || lead === undefined || lead >= 0x80) throw malformed();
  if (lead === 0 && second < 0x80) throw malformed();
  const first = lead === 0 ? start + 1 : start;
  const bits = (end - first) * 8 - (Math.clz32(der[first] ?? 0) - 24);
  return { start, end, bits, odd: last % 2 === 1 };
}

function malformed(): InvalidPublicKey {
  return new InvalidPublicKey("this is not the DER encoding (SPKI) of an RSA public key");
}
