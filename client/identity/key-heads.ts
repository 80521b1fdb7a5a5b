/**
 * What the device has that gives the text of a key: a second part of the text, so that a new device knows
 * what the server has to show. Only devices of the user can make or read it. ENVELOPE.md has its layout.
 */

import { toBase64url } from "../../protocol/base64.ts";
import type { Bytes } from "../../protocol/bytes.ts";
import { Malformed } from "../binary.ts";
import { HEADS_AT_ONCE } from "../content.ts";
import {
  beginSession,
  decrypt,
  ENVELOPE_VERSION,
  isGenuine,
  openSession,
  originOf,
  type Place,
  parseEnvelope,
  seal,
} from "../envelope.ts";
import { InvalidKey } from "../errors.ts";
import type { Head, Identity } from "../types.ts";
import { armoured, bytesOfKey, partIn, TAG_BYTES } from "./key-text.ts";

/** No client has it: client ids are random. */
const NO_CLIENT = "00000000-0000-0000-0000-000000000000";

/** Above what 255 heads have under a key of 4096 bits. */
const MAX_CHARACTERS = 16_384;

/**
 * The text of a key with what this device has: a new device that imports it reports what the server does
 * not show of that. It takes the place of what the text said before. No passphrase is needed.
 *
 * Throws `InvalidKey` for a text that is no key.
 *
 * @param text from `createIdentity`, `identityFromPem` or this function
 * @param identity of that key
 * @param heads as `SyncClient.heads` returns them; the first 64 of them, so that the text stays short
 */
export async function withHeads(
  text: string,
  identity: Identity,
  heads: readonly Head[],
): Promise<string> {
  const key = bytesOfKey(text);
  const place = placeAfter(identity, key);
  const session = await beginSession(identity, place);
  const content = { entries: [], heads: heads.slice(0, HEADS_AT_ONCE) };
  const { payload } = await seal(session, place, content);
  return armoured("KEY", toBase64url(key)) + armoured("HEADS", payload);
}

/**
 * The heads in the text of a key; `undefined` if it does not say any. Throws `InvalidKey` where they are
 * not what a device of the user has added to this key.
 */
export async function headsIn(
  text: string,
  identity: Identity,
): Promise<readonly Head[] | undefined> {
  if (!text.includes("SYNC-SERVER HEADS-----")) return undefined;
  const payload = partIn(text, "HEADS") ?? "";
  const place = placeAfter(identity, bytesOfKey(text));
  const heads = payload.length <= MAX_CHARACTERS && (await opened(identity, place, payload));
  if (heads) return heads;
  throw new InvalidKey("what follows the key is damaged: copy all of it again");
}

/** `undefined` for what no device of the user has made for this place. */
async function opened(
  identity: Identity,
  place: Place,
  payload: string,
): Promise<readonly Head[] | undefined> {
  const envelope = parseEnvelope(identity, payload);
  if (envelope?.version !== ENVELOPE_VERSION || envelope.header === undefined) return undefined;
  if (!(await isGenuine(identity, place, envelope.header))) return undefined;
  try {
    const { wrapped } = envelope.header;
    const key = await openSession(identity, place.origin, place.index, wrapped);
    return (await decrypt(place, envelope, key)).heads ?? [];
  } catch (error) {
    if (error instanceof DOMException || error instanceof Malformed) return undefined;
    throw error;
  }
}

/** The place of the heads: after their key, where no client has an operation. */
function placeAfter(identity: Identity, key: Bytes): Place {
  const previous = key.slice(-TAG_BYTES);
  return { origin: originOf(identity, NO_CLIENT), index: 0, previous };
}
