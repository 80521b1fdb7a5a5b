/** Users and clients of the load. */
import { createHash, randomBytes } from "node:crypto";
import type { Fingerprint } from "../../oplog/names.ts";
import { fingerprintOf } from "../../sync/public-key.ts";

export interface User {
  /** The public key: base64 of its DER. */
  readonly key: string;
  readonly fingerprint: Fingerprint;
}

const MODULUS_BYTES = 256;

/** SPKI of an RSA key of 2048 bits up to its modulus, and its exponent: 65537. */
const SPKI_HEAD = Buffer.from(
  "30820122300d06092a864886f70d01010105000382010f003082010a0282010100",
  "hex",
);
const SPKI_TAIL = Buffer.from("0203010001", "hex");

/**
 * A public key without a private key. The server sees only that it is well-formed, and 100,000 real
 * key pairs would take hours to generate.
 */
function publicKeyOf(modulus: Buffer): string {
  modulus.writeUInt8(0x80 | modulus.readUInt8(0), 0);
  modulus.writeUInt8(1 | modulus.readUInt8(MODULUS_BYTES - 1), MODULUS_BYTES - 1);
  return Buffer.concat([SPKI_HEAD, modulus, SPKI_TAIL]).toString("base64");
}

/** The public key of a new user. */
export function randomPublicKey(): string {
  return publicKeyOf(randomBytes(MODULUS_BYTES));
}

/** A user by number, the same in every run. */
export function userOf(group: string, number: number): User {
  const parts = [0, 1, 2, 3].map((part) =>
    createHash("sha512").update(`${group} ${number} ${part}`).digest(),
  );
  const key = publicKeyOf(Buffer.concat(parts));
  return { key, fingerprint: fingerprintOf(key) };
}

/** A client id by number. */
export function clientOf(number: number): string {
  return `5f0c1a52-7f7e-4d35-a9a5-${number.toString(16).padStart(12, "0")}`;
}

/** The client that created the seeded operations; the clients of the load have other numbers. */
export const SEEDER = clientOf(0);
