/** The protocol suite of `sync-server conformance`, as the tests run it. */
import { createPrivateKey } from "node:crypto";
import {
  TestedServer,
  type TestedServerOptions,
} from "../../commands/conformance/tested-server.ts";
import { syncUrlOf } from "../../commands/server-address.ts";
import type { Bytes } from "../../protocol/bytes.ts";
import { newPrivateKey } from "./private-keys.ts";

const PSS = { name: "RSA-PSS", hash: "SHA-512" };

/** A modulus, and the exponent of the last key that was made of it. */
interface Modulus {
  readonly jwk: Readonly<Record<"n" | "p" | "q" | "qi", string>>;
  readonly lessOne: readonly [p: bigint, q: bigint];
  exponent: bigint;
}

let modulus: Promise<Modulus> | undefined;

/**
 * Another private key of 2048 bits, in PKCS #8. All have one modulus and exponents of their own, which
 * makes them different keys, and takes hardly any CPU.
 */
export async function anotherKey(): Promise<Bytes> {
  modulus ??= newModulus();
  const of = await modulus;
  const [p, q] = of.lessOne;
  for (;;) {
    of.exponent += 2n;
    const { exponent } = of;
    const inverse = inverseOf(exponent, p * q);
    if (inverse === undefined) continue;
    const exponents = { e: exponent, d: inverse, dp: inverse % p, dq: inverse % q };
    const texts = Object.entries(exponents).map(([name, value]) => [name, textOf(value)]);
    const jwk = { kty: "RSA", ...of.jwk, ...Object.fromEntries(texts) };
    const key = createPrivateKey({ key: jwk, format: "jwk" });
    return Uint8Array.from(key.export({ format: "der", type: "pkcs8" }));
  }
}

async function newModulus(): Promise<Modulus> {
  const key = await crypto.subtle.importKey("pkcs8", await newPrivateKey(), PSS, true, ["sign"]);
  const { n = "", p = "", q = "", qi = "" } = await crypto.subtle.exportKey("jwk", key);
  return { jwk: { n, p, q, qi }, lessOne: [numberOf(p) - 1n, numberOf(q) - 1n], exponent: 65537n };
}

function inverseOf(value: bigint, of: bigint): bigint | undefined {
  let [high, low, before, factor] = [of, value % of, 0n, 1n];
  while (low > 0n) {
    const times = high / low;
    [high, low] = [low, high - times * low];
    [before, factor] = [factor, before - times * factor];
  }
  return high === 1n ? ((before % of) + of) % of : undefined;
}

function numberOf(text: string): bigint {
  return BigInt(`0x${Buffer.from(text, "base64url").toString("hex")}`);
}

function textOf(value: bigint): string {
  const digits = value.toString(16);
  return Buffer.from(digits.padStart(digits.length + (digits.length % 2), "0"), "hex").toString(
    "base64url",
  );
}

/** A server to try cases on, with users whose keys cost nothing. */
export function testedServer(address: string, fetch?: TestedServerOptions["fetch"]): TestedServer {
  return new TestedServer({
    url: syncUrlOf(address),
    newPrivateKey: anotherKey,
    ...(fetch && { fetch }),
  });
}
