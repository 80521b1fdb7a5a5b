/**
 * A user's identity: one RSA key, as keys that the runtime uses but does not export.
 *
 * Web Crypto binds a key to one algorithm, so the RSA key is imported once for each use. One RSA
 * key may serve both OAEP and PSS: Coron, Joye, Naccache, Paillier, "Universal Padding Schemes for
 * RSA" (CRYPTO 2002). Labels, contexts and hashes differ nevertheless.
 */
import { toBase64, toBase64url } from "../../protocol/base64.ts";
import { type Bytes, sha256 } from "../../protocol/bytes.ts";
import { InvalidKey } from "../errors.ts";
import type { Identity } from "../types.ts";
import { headsIn } from "./key-heads.ts";
import { checkProtection, decryptKey, encryptKey } from "./key-text.ts";
import { primesOf } from "./primes.ts";
import { checkSecure } from "./secure-context.ts";

/** A new identity, and the text that brings it to other devices. */
export interface NewIdentity {
  readonly identity: Identity;
  /** The private key, encrypted under the passphrase; see `importIdentity`. */
  readonly text: string;
}

/** The strength of a new identity. */
export interface CreateOptions {
  /** The length of the RSA modulus: 2048 to 4096, a multiple of 256; 3072 by default. */
  readonly bits?: number;
  /** Rounds of PBKDF2 that protect the text: 600,000, which is the default, to 10,000,000. */
  readonly iterations?: number;
}

const MIN_BITS = 2048;
const MAX_BITS = 4096;

/**
 * Creates an identity. Its private key cannot be exported afterwards, so keep the text: only it
 * adds another device, and only it is left when this device is lost.
 *
 * Throws `InvalidKey` for a passphrase of fewer than 8 characters and for options out of range, and an
 * `Error` in a page that is no secure context.
 */
export async function createIdentity(
  passphrase: string,
  { bits = 3072, iterations }: CreateOptions = {},
): Promise<NewIdentity> {
  checkBits(bits);
  // Before the key, which takes seconds on a slow device.
  checkProtection(passphrase, iterations);
  const { identity, primes } = await generateKey(bits);
  const text = await encryptKey(primes, passphrase, iterations, "primes");
  primes.fill(0);
  return { identity, text };
}

/** A new key. The caller erases its primes. */
export async function generateKey(bits: number): Promise<{ identity: Identity; primes: Bytes }> {
  checkSecure();
  const { privateKey } = await crypto.subtle.generateKey(
    {
      name: "RSA-PSS",
      modulusLength: bits,
      publicExponent: Uint8Array.of(1, 0, 1),
      hash: "SHA-256",
    },
    true,
    ["sign", "verify"],
  );
  const primes = await primesOf(privateKey);
  const pkcs8 = new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey));
  const identity = await identityOf(pkcs8);
  pkcs8.fill(0);
  return { identity, primes };
}

/**
 * Imports an identity from the text that `createIdentity` or `withHeads` returned. White space in the
 * text and words around it are ignored. What the text says that there is, is `expected` of the identity:
 * the client reports what the server does not show of that. An app that stores the identity keeps it.
 *
 * Throws `InvalidKey`; its message says what is wrong with the text or the passphrase. In a page that is no
 * secure context, it throws an `Error`.
 *
 * @param since when the text came to this device, in milliseconds of Unix time; for an app that stores
 *   the text and imports it at each start
 */
export async function importIdentity(
  text: string,
  passphrase: string,
  since = Date.now(),
): Promise<Identity> {
  const pkcs8 = await decryptKey(text, passphrase);
  const identity = await identityOf(pkcs8);
  pkcs8.fill(0);
  const heads = await headsIn(text, identity);
  return { ...identity, ...(heads && { expected: { heads, since } }) };
}

/**
 * The identity of an RSA key in PKCS #8. Throws `InvalidKey` for other bytes. The caller erases
 * them.
 */
export async function identityOf(pkcs8: Bytes): Promise<Identity> {
  checkSecure();
  const { subtle } = crypto;
  const oaep = { name: "RSA-OAEP", hash: "SHA-256" };
  const pss = { name: "RSA-PSS", hash: "SHA-256" };
  let key: CryptoKey;
  try {
    key = await subtle.importKey("pkcs8", pkcs8, pss, true, ["sign"]);
  } catch (error) {
    throw new InvalidKey("this is not an RSA key", { cause: error });
  }
  const { n = "", e = "" } = await subtle.exportKey("jwk", key);
  const verify = await subtle.importKey("jwk", { kty: "RSA", n, e }, pss, true, ["verify"]);
  const spki = new Uint8Array(await subtle.exportKey("spki", verify));
  const [wrap, unwrap, sign, signRequests, digest] = await Promise.all([
    subtle.importKey("spki", spki, oaep, true, ["encrypt"]),
    subtle.importKey("pkcs8", pkcs8, oaep, false, ["decrypt"]),
    subtle.importKey("pkcs8", pkcs8, pss, false, ["sign"]),
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
