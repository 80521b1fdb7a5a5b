/** Requests signed with the user's key: RFC 9421, HTTP Message Signatures, as PROTOCOL.md has it. */
import { type Bytes, sha256, toBase64, utf8 } from "../protocol/bytes.ts";
import type { Identity } from "./identity/identity.ts";

const ALGORITHM = "rsa-pss-sha512";
/** RFC 9421, section 3.3.1. */
const PSS = { name: "RSA-PSS", saltLength: 64 };

/** A request, as far as it is signed. */
export interface Signable {
  readonly method: string;
  readonly url: URL;
  readonly contentType: string;
  readonly body: Bytes;
  /** Seconds since 1970. */
  readonly created: number;
}

/** The header fields that sign a request. */
export async function signatureHeaders(
  identity: Identity,
  request: Signable,
): Promise<Record<"Content-Digest" | "Signature-Input" | "Signature", string>> {
  const digest = `sha-256=:${toBase64(await sha256(request.body))}:`;
  const { base, parameters } = signatureBase(identity.fingerprint, request, digest);
  const signature = await crypto.subtle.sign(PSS, identity.keys.signRequests, utf8(base));
  return {
    "Content-Digest": digest,
    "Signature-Input": `sig=${parameters}`,
    Signature: `sig=:${toBase64(new Uint8Array(signature))}:`,
  };
}

/** The signature base of RFC 9421, section 2.5, and its parameters. */
export function signatureBase(
  fingerprint: string,
  { method, url, contentType, created }: Signable,
  digest: string,
): { readonly base: string; readonly parameters: string } {
  const covered: readonly (readonly [string, string])[] = [
    ["@method", method],
    // Lower case and without the port of the scheme, as a URL has it.
    ["@authority", url.host],
    ["@path", url.pathname],
    ["content-type", contentType],
    ["content-digest", digest],
  ];
  const names = covered.map(([name]) => `"${name}"`).join(" ");
  const parameters = `(${names});created=${created};keyid="${fingerprint}";alg="${ALGORITHM}"`;
  const lines = covered.map(([name, value]) => `"${name}": ${value}`);
  return { base: [...lines, `"@signature-params": ${parameters}`].join("\n"), parameters };
}
