/**
 * A user's identity: one RSA key, held as keys that the runtime uses but does not give out.
 *
 * Web Crypto binds a key to one algorithm, so the one key is imported once for each use. That one
 * RSA key may serve OAEP and PSS: Coron, Joye, Naccache, Paillier, "Universal Padding Schemes for
 * RSA" (CRYPTO 2002). Labels, contexts and hashes are distinct all the same.
 */
import { type Bytes, sha256, toBase64, toBase64url } from "../../protocol/bytes.ts";
import { InvalidKey } from "../errors.ts";
import type { Identity } from "../types.ts";
import { lock, unlock } from "./key-text.ts";

/** A new identity, and the text to keep: only it can bring the identity to another device. */
export interface NewIdentity {
  readonly identity: Identity;
  /** The private key, protected by the passphrase; see `importIdentity`. */
  readonly text: string;
}

export interface CreateOptions {
  /** The size of the key: 2048 to 4096, a multiple of 256. 3072 unless given. */
  readonly bits?: number;
  /** Rounds of PBKDF2 that protect the text, 600,000 or more. */
  readonly iterations?: number;
}

const MIN_BITS = 2048;
const MAX_BITS = 4096;

/**
 * Makes a new RSA key. From here on it cannot be exported, so keep the text: it is what adds a
 * second device, and what is left when this one is lost. Throws `InvalidKey` for a passphrase of
 * fewer than 8 characters.
 */
export async function createIdentity(
  passphrase: string,
  { bits = 3072, iterations }: CreateOptions = {},
): Promise<NewIdentity> {
  checkBits(bits);
  const pair = await crypto.subtle.generateKey(
    {
      name: "RSA-PSS",
      modulusLength: bits,
      publicExponent: Uint8Array.of(1, 0, 1),
      hash: "SHA-256",
    },
    true,
    ["sign", "verify"],
  );
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", pair.privateKey));
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", pair.publicKey));
  const text = await lock(pkcs8, passphrase, iterations);
  const identity = await importKeys(pkcs8, spki);
  pkcs8.fill(0);
  return { identity, text };
}

/**
 * Brings the identity to this device, from the text that `createIdentity` has made. White space in
 * the text and words around it do no harm. Throws `InvalidKey`, which says what is wrong.
 */
export async function importIdentity(text: string, passphrase: string): Promise<Identity> {
  const pkcs8 = await unlock(text, passphrase);
  const identity = await identityOf(pkcs8);
  pkcs8.fill(0);
  return identity;
}

/**
 * The identity of a private key in PKCS #8. Throws `InvalidKey` where it is none of RSA. The caller
 * erases the bytes.
 */
export async function identityOf(pkcs8: Bytes): Promise<Identity> {
  const algorithm = { name: "RSA-PSS", hash: "SHA-256" };
  let key: CryptoKey;
  try {
    key = await crypto.subtle.importKey("pkcs8", pkcs8, algorithm, true, ["sign"]);
  } catch (error) {
    throw new InvalidKey("this is not an RSA key", { cause: error });
  }
  const { n = "", e = "" } = await crypto.subtle.exportKey("jwk", key);
  const jwk = { kty: "RSA", n, e };
  const publicKey = await crypto.subtle.importKey("jwk", jwk, algorithm, true, ["verify"]);
  const spki = new Uint8Array(await crypto.subtle.exportKey("spki", publicKey));
  return importKeys(pkcs8, spki);
}

async function importKeys(pkcs8: Bytes, spki: Bytes): Promise<Identity> {
  const { subtle } = crypto;
  const oaep = { name: "RSA-OAEP", hash: "SHA-256" };
  const pss = { name: "RSA-PSS", hash: "SHA-256" };
  const [wrap, unwrap, sign, verify, signRequests, digest] = await Promise.all([
    subtle.importKey("spki", spki, oaep, true, ["encrypt"]),
    subtle.importKey("pkcs8", pkcs8, oaep, false, ["decrypt"]),
    subtle.importKey("pkcs8", pkcs8, pss, false, ["sign"]),
    subtle.importKey("spki", spki, pss, true, ["verify"]),
    subtle.importKey("pkcs8", pkcs8, { name: "RSA-PSS", hash: "SHA-512" }, false, ["sign"]),
    sha256(spki),
  ]);
  const bits = modulusLength(verify);
  checkBits(bits);
  return {
    fingerprint: toBase64url(digest),
    publicKey: toBase64(spki),
    bits,
    keys: { wrap, unwrap, sign, verify, signRequests },
  };
}

function modulusLength({ algorithm }: CryptoKey): number {
  return "modulusLength" in algorithm ? Number(algorithm.modulusLength) : Number.NaN;
}

function checkBits(bits: number): void {
  if (!(bits >= MIN_BITS && bits <= MAX_BITS && bits % 256 === 0)) {
    throw new InvalidKey(
      `an RSA key of ${MIN_BITS} to ${MAX_BITS} bits, a multiple of 256, is needed, not ${bits}`,
    );
  }
}
