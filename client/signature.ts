/** Signs requests with the user's key (RFC 9421; `protocol/signature.ts` says what is signed). */
import { type Bytes, sha256, toBase64, utf8 } from "../protocol/bytes.ts";
import { SIGNATURE_SALT_BYTES, type SignedValues, signatureBase } from "../protocol/signature.ts";
import type { Identity } from "./types.ts";

const PSS = { name: "RSA-PSS", saltLength: SIGNATURE_SALT_BYTES };

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
  { fingerprint, keys }: Identity,
  request: Signable,
): Promise<Record<"Content-Digest" | "Signature-Input" | "Signature", string>> {
  const digest = `sha-256=:${toBase64(await sha256(request.body))}:`;
  const { base, parameters } = signatureBase(
    fingerprint,
    request.created,
    signedValues(request, digest),
  );
  const signature = await crypto.subtle.sign(PSS, keys.signRequests, utf8(base));
  return {
    "Content-Digest": digest,
    "Signature-Input": `sig=${parameters}`,
    Signature: `sig=:${toBase64(new Uint8Array(signature))}:`,
  };
}

/** The values of a request that its signature covers. */
export function signedValues({ method, url, contentType }: Signable, digest: string): SignedValues {
  return {
    "@method": method,
    // Lower case and without the port of the scheme, as a URL has it.
    "@authority": url.host,
    "@path": url.pathname,
    "content-type": contentType,
    "content-digest": digest,
  };
}
