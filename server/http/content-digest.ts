/** The `Content-Digest` field (RFC 9530) of a request. */
import { createHash } from "node:crypto";
import { isInnerList, ParseError, parseDictionary } from "structured-headers";

/** The accepted algorithms, and their names in `node:crypto`. Others are ignored. */
const ALGORITHMS = { "sha-256": "sha256", "sha-512": "sha512" };

/** What is wrong with the field for this body; `undefined` when it is correct. */
export function digestFault(field: string, body: Uint8Array): string | undefined {
  const digests = parsed(field);
  if (digests === undefined) return "Content-Digest is not a dictionary of byte sequences";
  let known = 0;
  for (const [name, hash] of Object.entries(ALGORITHMS)) {
    const member = digests.get(name);
    if (member === undefined) continue;
    known++;
    const value = isInnerList(member) ? undefined : member[0];
    if (!(value instanceof ArrayBuffer))
      return `the ${name} of Content-Digest is not a byte sequence`;
    if (!createHash(hash).update(body).digest().equals(Buffer.from(value))) {
      return `the ${name} of Content-Digest is not that of the body`;
    }
  }
  return known > 0 ? undefined : "Content-Digest has neither sha-256 nor sha-512";
}

function parsed(field: string) {
  try {
    return parseDictionary(field);
  } catch (error) {
    if (error instanceof ParseError) return undefined;
    throw error;
  }
}
