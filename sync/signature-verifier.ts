import type { Fingerprint } from "../oplog/names.ts";
import type { Bytes } from "../protocol/bytes.ts";
import { SIGNATURE_SALT_BYTES } from "../protocol/signature.ts";
import { lruOf } from "../storage/lru.ts";
import { numbersOf, type PublicKey } from "./public-key.ts";

type Verify = (data: Bytes, signature: Bytes) => Promise<boolean>;

/** Imported keys kept: importing a key costs more than using it. */
const KEPT = 4096;

/** Verifies signatures with the users' keys. */
export class SignatureVerifier {
  readonly #imported = lruOf<Fingerprint, Promise<Verify>>(KEPT);

  /** True when the private key of this public key has signed the data. */
  async verify(key: PublicKey, data: Bytes, signature: Bytes): Promise<boolean> {
    let verify = this.#imported.get(key.fingerprint);
    if (verify === undefined) {
      verify = imported(key);
      this.#imported.set(key.fingerprint, verify);
    }
    return (await verify)(data, signature);
  }
}

async function imported(key: PublicKey): Promise<Verify> {
  const { subtle } = globalThis.crypto;
  const algorithm = { name: "RSA-PSS", hash: "SHA-512", saltLength: SIGNATURE_SALT_BYTES };
  try {
    const usable = await subtle.importKey("spki", key.spki, algorithm, false, ["verify"]);
    const verify: Verify = (data, signature) => subtle.verify(algorithm, usable, signature, data);
    await verify(new Uint8Array(), new Uint8Array());
    return verify;
  } catch {
    // The key itself is valid: it was parsed. Deno does not support keys above 4096 bits, and fails
    // only when they are used.
    return calculated(key);
  }
}

/** The same in JavaScript. */
async function calculated(key: PublicKey): Promise<Verify> {
  const { mgf1, PSS } = await import("micro-rsa-dsa-dh/rsa.js");
  const { sha512 } = await import("@noble/hashes/sha2.js");
  const scheme = PSS(sha512, mgf1(sha512), SIGNATURE_SALT_BYTES);
  const { modulus: n, exponent: e } = numbersOf(key);
  return async (data, signature) => {
    try {
      return scheme.verify({ n, e }, data, signature);
    } catch (error) {
      // Thrown for a signature whose number has more bytes than a valid one can.
      if (error instanceof Error && error.message === "integer too large") return false;
      throw error;
    }
  };
}
