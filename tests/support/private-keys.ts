/** RSA keys for tests. Making one takes a runtime up to a second of CPU, and a passphrase another. */
import { identityOf } from "../../client/identity/identity.ts";
import type { Identity } from "../../client/index.ts";
import { fromBase64url } from "../../protocol/base64.ts";
import type { Bytes } from "../../protocol/bytes.ts";
import keys from "./private-keys.json" with { type: "json" };

const unused = keys.values();

/** A private key of 2048 bits, in PKCS #8, that nothing else in this process has. */
export async function newPrivateKey(): Promise<Bytes> {
  const { value } = unused.next();
  const made = value === undefined ? await generate() : fromBase64url(value);
  if (made === undefined) throw new TypeError("a key is not base64url");
  return made;
}

async function generate(): Promise<Bytes> {
  const { subtle } = globalThis.crypto;
  const publicExponent = Uint8Array.of(1, 0, 1);
  const algorithm = { name: "RSA-PSS", hash: "SHA-512", modulusLength: 2048, publicExponent };
  const { privateKey } = await subtle.generateKey(algorithm, true, ["sign", "verify"]);
  return new Uint8Array(await subtle.exportKey("pkcs8", privateKey));
}

/** A user's identity on a device, with such a key. */
export async function newIdentity(): Promise<Identity> {
  return identityOf(await newPrivateKey());
}
