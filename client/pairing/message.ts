/** The messages of the devices: each is an entry of their log. ENVELOPE.md has the layout. */
import { type Bytes, concat } from "../../protocol/bytes.ts";
import { Malformed } from "../binary.ts";
import { contentBytes, contentOf } from "../content.ts";
import { formOf, type PrivateKey, versionOf } from "../identity/key-text.ts";
import type { Head } from "../types.ts";
import { POINT_BYTES, RANDOM_BYTES, type Revealed } from "./agreement.ts";

/** The kind of a message, by its first byte. */
export const KINDS = { answer: 1, reveal: 2, key: 3, taken: 4 } as const;
/** The name of a kind of message. */
export type Kind = keyof typeof KINDS;

/** A message: its kind, and what follows the first byte. */
export interface Message {
  readonly kind: Kind;
  readonly body: Bytes;
}

/** Returns the bytes of a message, which `messageOf` reads. */
export function messageBytes({ kind, body }: Message): Bytes {
  return concat(Uint8Array.of(KINDS[kind]), body);
}

/** Returns `undefined` for bytes that are not a message. */
export function messageOf(bytes: Bytes): Message | undefined {
  const body = bytes.slice(1);
  for (const kind of ["answer", "reveal", "key", "taken"] as const) {
    if (bytes[0] === KINDS[kind]) return { kind, body };
  }
  return undefined;
}

/** Returns the body of *reveal*, which `revealedIn` reads: the point, then the random bytes. */
export function revealBody({ point, random }: Revealed): Bytes {
  return concat(point, random);
}

/** Throws `Malformed` for a body of another length. */
export function revealedIn(body: Bytes): Revealed {
  if (body.length !== POINT_BYTES + RANDOM_BYTES) throw new Malformed("a point is missing");
  return { point: body.slice(0, POINT_BYTES), random: body.slice(POINT_BYTES) };
}

/** The key, and the heads of the device that gives it. */
export interface Given {
  readonly key: PrivateKey;
  readonly heads: readonly Head[];
}

/** The plaintext of the message with the key. The caller erases it. */
export function givenBytes({ key: { form, bytes }, heads }: Given): Bytes {
  const entry = concat(Uint8Array.of(versionOf(form)), bytes);
  const content = contentBytes({ entries: [entry], heads });
  entry.fill(0);
  return content;
}

/** Throws `Malformed` for bytes that do not contain a key. */
export function givenIn(content: Bytes): Given {
  const { entries, heads = [] } = contentOf(content);
  const [entry, ...more] = entries;
  const form = formOf(entry?.[0]);
  if (entry === undefined || form === undefined || more.length > 0) {
    throw new Malformed("there is no key");
  }
  return { key: { form, bytes: entry.slice(1) }, heads };
}
