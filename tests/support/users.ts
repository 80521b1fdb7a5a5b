import { generateKeyPairSync, type KeyObject, randomBytes, randomUUID } from "node:crypto";
import type { Fingerprint } from "../../storage/names.ts";

/** The fingerprint of some key: for tests that never see the key itself. */
export function someFingerprint(): Fingerprint {
  return randomBytes(32).toString("base64url") as Fingerprint;
}

/** A user's public key, as PEM and as the base64 of its DER. */
export function newUser(bits = 2048): { key: KeyObject; pem: string; base64: string } {
  const key = generateKeyPairSync("rsa", { modulusLength: bits }).publicKey;
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
