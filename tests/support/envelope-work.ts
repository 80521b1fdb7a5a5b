/**
 * Sealing and opening with nothing but the client's modules, for every runtime and for browsers.
 * What one of them has sealed, the others must open.
 */

import { identityOf } from "../../client/identity/identity.ts";
import { entriesOf } from "../../client/operation.ts";
import { RunVerifier } from "../../client/verify.ts";
import { fromBase64url } from "../../protocol/base64.ts";
import { textOf } from "../../protocol/bytes.ts";
import type { Line } from "../../protocol/types.ts";
import { sealed } from "./sealed.ts";

/** @param key a private key, PKCS #8 in base64url */
async function identity(key: string) {
  const pkcs8 = fromBase64url(key);
  if (pkcs8 === undefined) throw new TypeError("the key is not base64url");
  return identityOf(pkcs8);
}

/** The lines of a client that has created the texts. */
export async function sealAll(
  key: string,
  client: string,
  texts: readonly string[],
): Promise<Line[]> {
  return sealed(await identity(key), client, texts);
}

/** The texts in the lines of a client. Throws when any is refused. */
export async function openAll(
  key: string,
  client: string,
  lines: readonly Line[],
): Promise<string[]> {
  const verifier = new RunVerifier(await identity(key));
  const { operations, refusal } = await verifier.verify(client, lines, undefined);
  if (refusal !== undefined) throw new Error(`${refusal.kind} at ${refusal.index}`);
  return entriesOf(operations).map(({ data }) => textOf(data));
}
