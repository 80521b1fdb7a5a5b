/** Sealed operations of a client, for tests. */

import { NO_PREVIOUS, newContentKey, seal } from "../../client/envelope.ts";
import type { Identity } from "../../client/index.ts";
import { type Bytes, utf8 } from "../../protocol/bytes.ts";
import type { Line } from "../../protocol/types.ts";

/** The lines of a client that created the texts, from the index `first` on. */
export async function sealed(
  identity: Identity,
  client: string,
  texts: readonly string[],
  first = 0,
  previous: Bytes = NO_PREVIOUS,
): Promise<Line[]> {
  const content = await newContentKey(identity);
  const lines: Line[] = [];
  let before = previous;
  for (const [i, text] of texts.entries()) {
    const place = { client, index: first + i, previous: before };
    const { payload, hash } = await seal(identity, content, place, { data: utf8(text) });
    lines.push({ client, index: first + i, payload });
    before = hash;
  }
  return lines;
}
