/** The primes of an RSA key, from which all else of it follows: a quarter of what PKCS #8 takes. */
import { fromBase64url, toBase64url } from "../../protocol/base64.ts";
import { type Bytes, concat } from "../../protocol/bytes.ts";

/** The public exponent of every key that is made here. */
const EXPONENT = 65537n;

/**
 * Both primes of a key with the exponent 65537, one behind the other. They are of one length, as the
 * modulus has a length in whole bytes. The caller erases them.
 *
 * @param key an RSA private key that may be exported
 */
export async function primesOf(key: CryptoKey): Promise<Bytes> {
  const { p = "", q = "" } = await crypto.subtle.exportKey("jwk", key);
  const [first, second] = [fromBase64url(p), fromBase64url(q)];
  if (first?.length !== second?.length) throw new Error("the primes of a key differ in length");
  return concat(first ?? new Uint8Array(), second ?? new Uint8Array());
}

/** The key of two primes in PKCS #8 (RFC 8017, section 3.2). The caller erases it. Rejects with a `DOMException`. */
export async function keyOfPrimes(primes: Bytes): Promise<Bytes> {
  const half = primes.length / 2;
  const [p, q] = [numberOf(primes.subarray(0, half)), numberOf(primes.subarray(half))];
  const d = inverse(EXPONENT, (p - 1n) * (q - 1n));
  const jwk = {
    ...{ kty: "RSA", n: textOf(p * q), e: textOf(EXPONENT), d: textOf(d) },
    ...{ p: textOf(p), q: textOf(q), dp: textOf(d % (p - 1n)), dq: textOf(d % (q - 1n)) },
    qi: textOf(inverse(q, p)),
  };
  const pss = { name: "RSA-PSS", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("jwk", jwk, pss, true, ["sign"]);
  return new Uint8Array(await crypto.subtle.exportKey("pkcs8", key));
}

/** What times `value` is 1 modulo `modulus`, by Euclid's algorithm. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [before, rest] = [modulus, value % modulus];
  let [previous, result] = [0n, 1n];
  while (rest > 1n) {
    const times = before / rest;
    [before, rest] = [rest, before - times * rest];
    [previous, result] = [result, previous - times * result];
  }
  return result < 0n ? result + modulus : result;
}

function numberOf(bytes: Bytes): bigint {
  return BigInt(`0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`);
}

/** As JWK has numbers: without zeros before them. */
function textOf(value: bigint): string {
  const hex = value.toString(16);
  const whole = hex.padStart(hex.length + (hex.length % 2), "0");
  return toBase64url(
    Uint8Array.from(whole.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)),
  );
}
