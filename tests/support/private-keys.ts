/**
 * RSA keys for tests, of prepared primes: making a key takes a runtime up to a second of CPU, and a
 * passphrase another. Each two of the primes make one.
 */
import { identityOf } from "../../client/identity/identity.ts";
import type { Identity } from "../../client/index.ts";
import { fromBase64url, toBase64url } from "../../protocol/base64.ts";
import type { Bytes } from "../../protocol/bytes.ts";
import primes from "./primes.json" with { type: "json" };

/** Of 1024 bits, the two highest of them 1, with the largest first: a key's first prime is the larger one. */
const numbers = primes.map((text) => numberOf(fromBase64url(text)));

function* pairs(): Generator<readonly [bigint, bigint]> {
  for (const [at, p] of numbers.entries()) {
    for (const q of numbers.slice(at + 1)) yield [p, q];
  }
}

const unused = pairs();
const EXPONENT = 65_537n;
const ALGORITHM = { name: "RSA-PSS", hash: "SHA-512" };
const { subtle } = globalThis.crypto;
/** The runtime's own. */
const generateKey = subtle.generateKey.bind(subtle);

/** A private key of 2048 bits, in PKCS #8, that nothing else in this process has. */
export async function newPrivateKey(): Promise<Bytes> {
  const { value } = unused.next();
  return value === undefined ? generate() : keyOf(value);
}

/**
 * Has the client "generate" prepared keys of 2048 bits in this process, where it asks Web Crypto for an RSA key
 * to sign with. Returns what ends it.
 */
export function generatePreparedKeys(): () => void {
  const prepared = async (algorithm: unknown, ...rest: readonly unknown[]) => {
    const isRsa =
      typeof algorithm === "object" && algorithm !== null && "modulusLength" in algorithm;
    if (!isRsa) return Reflect.apply(generateKey, subtle, [algorithm, ...rest]);
    const pkcs8 = await newPrivateKey();
    const sha256 = { name: "RSA-PSS", hash: "SHA-256" };
    return { privateKey: await subtle.importKey("pkcs8", pkcs8, sha256, true, ["sign"]) };
  };
  Object.defineProperty(subtle, "generateKey", { value: prepared, configurable: true });
  return () => {
    Reflect.deleteProperty(subtle, "generateKey");
  };
}

async function keyOf([p, q]: readonly [bigint, bigint]): Promise<Bytes> {
  const d = inverse(EXPONENT, (p - 1n) * (q - 1n));
  const numbersOfKey = { n: p * q, e: EXPONENT, d, p, q };
  const ofRemainders = { dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
  const texts = Object.entries({ ...numbersOfKey, ...ofRemainders }).map(
    ([name, number]) => [name, textOf(number)] as const,
  );
  const jwk = { kty: "RSA", ...Object.fromEntries(texts) };
  const key = await subtle.importKey("jwk", jwk, ALGORITHM, true, ["sign"]);
  return new Uint8Array(await subtle.exportKey("pkcs8", key));
}

/** For a simulation that needs more of them. */
async function generate(): Promise<Bytes> {
  const publicExponent = Uint8Array.of(1, 0, 1);
  const algorithm = { ...ALGORITHM, modulusLength: 2048, publicExponent };
  const { privateKey } = await generateKey(algorithm, true, ["sign", "verify"]);
  return new Uint8Array(await subtle.exportKey("pkcs8", privateKey));
}

/** What times a number leaves 1, modulo another (the extended Euclidean algorithm). */
function inverse(number: bigint, modulus: bigint): bigint {
  let [rest, last] = [number % modulus, modulus];
  let [factor, lastFactor] = [1n, 0n];
  while (rest > 0n) {
    const times = last / rest;
    [last, rest] = [rest, last - times * rest];
    [lastFactor, factor] = [factor, lastFactor - times * factor];
  }
  return ((lastFactor % modulus) + modulus) % modulus;
}

function numberOf(bytes: Bytes | undefined): bigint {
  if (bytes === undefined) throw new TypeError("a prime is not base64url");
  return BigInt(`0x${Buffer.from(bytes).toString("hex")}`);
}

function textOf(number: bigint): string {
  const digits = number.toString(16);
  return toBase64url(Buffer.from(digits.padStart(digits.length + (digits.length % 2), "0"), "hex"));
}

/** A user's identity on a device, with such a key. */
export async function newIdentity(): Promise<Identity> {
  return identityOf(await newPrivateKey());
}
