import { createPublicKey, type KeyObject, randomBytes, randomUUID } from "node:crypto";
import type { Fingerprint } from "../../oplog/names.ts";

/** A fingerprint of no known key, for tests that need no key. */
export function someFingerprint(): Fingerprint {
  return randomBytes(32).toString("base64url") as Fingerprint;
}

/**
 * A user's public key, as PEM and as the base64 of its DER. There is no private key: the server
 * cannot tell, and making a pair takes a hundred times as long.
 */
export function newUser(bits = 2048): { key: KeyObject; pem: string; base64: string } {
  const modulus = randomBytes(bits / 8);
  modulus.writeUInt8(0x80 | modulus.readUInt8(0), 0);
  modulus.writeUInt8(1 | modulus.readUInt8(modulus.length - 1), modulus.length - 1);
  const jwk = { kty: "RSA", n: modulus.toString("base64url"), e: "AQAB" };
  const key = createPublicKey({ key: jwk, format: "jwk" });
  return {
    key,
    pem: key.export({ type: "spki", format: "pem" }).toString(),
    base64: key.export({ type: "spki", format: "der" }).toString("base64"),
  };
}

/** A client id. */
export function newClient(): string {
  return randomUUID();
}
