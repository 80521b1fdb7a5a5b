/** A private key that another program made, in PEM (RFC 7468), as `openssl genpkey` writes it. */
import { fromBase64url } from "../../protocol/base64.ts";
import type { Bytes } from "../../protocol/bytes.ts";
import { InvalidKey } from "../errors.ts";
import { identityOf, type NewIdentity } from "./identity.ts";
import { encryptKey } from "./key-text.ts";

const BEGIN = "-----BEGIN PRIVATE KEY-----";
const END = "-----END PRIVATE KEY-----";

/** Keys that are not in plain PKCS #8, by their label, and what to do with them. */
const ADVICE: ReadonlyMap<string, string> = new Map([
  [
    "ENCRYPTED PRIVATE KEY",
    "the key has a passphrase: remove it with `openssl pkey -in KEY -out private.pem`, and import that",
  ],
  [
    "RSA PRIVATE KEY",
    "the key is PKCS #1: convert it with `openssl pkey -in KEY -out private.pem`, and import that",
  ],
  [
    "OPENSSH PRIVATE KEY",
    "the key is one of OpenSSH: convert a copy with `ssh-keygen -p -N '' -m PKCS8 -f COPY`, and import that",
  ],
  ["PUBLIC KEY", "this is the public key: the private key is needed"],
]);

/**
 * Imports an RSA private key in PEM: unencrypted PKCS #8. The returned text is the key, encrypted
 * under the passphrase, as that of `createIdentity`.
 *
 * Throws `InvalidKey`; its message says what is wrong with the key or the passphrase.
 */
export async function identityFromPem(pem: string, passphrase: string): Promise<NewIdentity> {
  const pkcs8 = pkcs8In(pem);
  try {
    const identity = await identityOf(pkcs8);
    return { identity, text: await encryptKey(pkcs8, passphrase) };
  } finally {
    pkcs8.fill(0);
  }
}

function pkcs8In(pem: string): Bytes {
  const start = pem.indexOf(BEGIN);
  const end = pem.indexOf(END, start);
  if (start === -1 || end === -1) {
    const label = pem.match(/-----BEGIN ([A-Z ]{1,40})-----/)?.[1] ?? "";
    const otherwise = `this is not a private key: it must have the lines ${BEGIN} and ${END}`;
    throw new InvalidKey(ADVICE.get(label) ?? otherwise);
  }
  const base64 = pem.slice(start + BEGIN.length, end).replace(/[\s=]+/g, "");
  const bytes = fromBase64url(base64.replaceAll("+", "-").replaceAll("/", "_"));
  if (bytes === undefined) throw new InvalidKey("the key is damaged: copy all of it again");
  return bytes;
}
