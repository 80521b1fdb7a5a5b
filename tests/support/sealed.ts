/** Sealed operations of a client, for tests. */

import { beginSession, NO_PREVIOUS, originOf, type Session, seal } from "../../client/envelope.ts";
import type { Identity } from "../../client/index.ts";
import { fromBase64url } from "../../protocol/base64.ts";
import { type Bytes, utf8 } from "../../protocol/bytes.ts";
import type { Line } from "../../protocol/types.ts";

/** The lines of a client that created the texts in one session, from the index `first` on. */
export async function sealed(
  identity: Identity,
  client: string,
  texts: readonly string[],
  first = 0,
  previous: Bytes = NO_PREVIOUS,
  known?: Session,
): Promise<Line[]> {
  const origin = originOf(identity, client);
  const start = { origin, index: first, previous };
  const session = known ?? (await beginSession(identity, start));
  const lines: Line[] = [];
  let before = previous;
  for (const [i, text] of texts.entries()) {
    const place = { origin, index: first + i, previous: before };
    const { payload, tag } = await seal(session, place, { data: utf8(text) });
    lines.push({ client, index: first + i, payload });
    before = tag;
  }
  return lines;
}

/** The tag of a payload, as the next operation is bound to it. */
export function tagOf(payload: string): Bytes {
  const bytes = fromBase64url(payload);
  if (bytes === undefined) throw new TypeError("the payload is not base64url");
  return bytes.slice(-16);
}
