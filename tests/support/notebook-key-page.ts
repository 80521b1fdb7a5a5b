/** Runs in a page of the notebook's origin: stores a key as the notebook does when it imports one. */
import { identityOf } from "../../client/identity/identity.ts";
import { saveIdentity } from "../../client/indexeddb.ts";
import { NAME } from "../../examples/notebook/web/key.ts";
import { fromBase64url } from "../../protocol/base64.ts";

/** What a test calls in the page. */
async function storeKey(pkcs8: string, text: string): Promise<void> {
  localStorage.setItem(`${NAME} key`, text);
  await saveIdentity(NAME, await identityOf(fromBase64url(pkcs8) ?? new Uint8Array()));
}

Object.assign(globalThis, { storeKey });
