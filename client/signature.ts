/** Signs requests with the user's key (RFC 9421, as `protocol/signature.ts` profiles it). */
import { toBase64 } from "../protocol/base64.ts";
import { type Bytes, sha256, utf8 } from "../protocol/bytes.ts";
import {
  SIGNATURE_SALT_BYTES,
  type SignedFields,
  type SignedValues,
  signatureBase,
} from "../protocol/signature.ts";
import type { Identity } from "./types.ts";

const REQUEST_PSS = { name: "RSA-PSS", saltLength: SIGNATURE_SALT_BYTES };

/** The signed parts of a request. */
export interface Signable {
  readonly method: string;
  readonly url: URL;
  readonly contentType: string;
  readonly body: Bytes;
  /** Seconds of Unix time. */
  readonly created: number;
  /** Further headers of the request. */
  readonly fields?: SignedFields;
}

/** The header fields with the signature of a request. */
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
  const signature = await crypto.subtle.sign(REQUEST_PSS, keys.signRequests, utf8(base));
  return {
    "Content-Digest": digest,
    "Signature-Input": `sig=${parameters}`,
    Signature: `sig=:${toBase64(new Uint8Array(signature))}:`,
  };
}

/** The values that a signature covers. */
export function signedValues(
  { method, url, contentType, fields }: Signable,
  digest: string,
): SignedValues {
  return {
    "@method": method,
    // In lower case, and without the default port, as `URL` has it.
    "@authority": url.host,
    "@path": url.pathname,
    "content-type": contentType,
    "content-digest": digest,
    ...fields,
  };
}
