/** Sealed operations of a client, for tests. */

import type { Content } from "../../client/content.ts";
import { beginSession, NO_PREVIOUS, originOf, type Session, seal } from "../../client/envelope.ts";
import type { Identity, Store } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { Outbox } from "../../client/outbox.ts";
import { fromBase64url } from "../../protocol/base64.ts";
import { type Bytes, utf8 } from "../../protocol/bytes.ts";
import type { Line } from "../../protocol/types.ts";

/** The lines of a client that created the texts in one session, from the index `first` on. */
export function sealed(
  identity: Identity,
  client: string,
  texts: readonly string[],
  first = 0,
  previous: Bytes = NO_PREVIOUS,
  known?: Session,
): Promise<Line[]> {
  const contents = texts.map((text) => ({ entries: [utf8(text)] }));
  return sealedContents(identity, client, contents, first, previous, known);
}

/** The same, with any content. */
export async function sealedContents(
  identity: Identity,
  client: string,
  contents: readonly Content[],
  first = 0,
  previous: Bytes = NO_PREVIOUS,
  known?: Session,
): Promise<Line[]> {
  const origin = originOf(identity, client);
  const start = { origin, index: first, previous };
  const session = known ?? (await beginSession(identity, start));
  const lines: Line[] = [];
  let before = previous;
  for (const [i, content] of contents.entries()) {
    const place = { origin, index: first + i, previous: before };
    const { payload, tag } = await seal(session, place, content);
    lines.push({ client, index: first + i, payload });
    before = tag;
  }
  return lines;
}

/** A store with an operation for each text, of which the server is believed to have some. */
export async function storeOf(
  identity: Identity,
  texts: readonly string[],
  acknowledged = 0,
): Promise<{ readonly store: MemoryStore; readonly id: string }> {
  const store = new MemoryStore();
  const id = await createEach(identity, store, texts);
  await store.acknowledge(id, acknowledged);
  return { store, id };
}

/** Creates an operation for each text in a store that no client has open. Returns the client id. */
export async function createEach(
  identity: Identity,
  store: Store,
  texts: readonly string[],
): Promise<string> {
  const outbox = await Outbox.open(store, identity, await store.load());
  for (const text of texts) {
    await outbox.append([utf8(text)], Number.POSITIVE_INFINITY);
    await outbox.sealWaiting();
  }
  return outbox.client;
}

/** The tag of a payload, as the next operation is bound to it. */
export function tagOf(payload: string): Bytes {
  const bytes = fromBase64url(payload);
  if (bytes === undefined) throw new TypeError("the payload is not base64url");
  return bytes.slice(-16);
}
