/** What is encrypted in an envelope: the data of the app, and what a client has to tell others. */
import { fromBase64url, toBase64url } from "../protocol/base64.ts";
import { type Bytes, concat, uuidBytes, uuidOf } from "../protocol/bytes.ts";
import { Malformed, numberBytes, numberOf, takingFrom } from "./binary.ts";
import type { Continues } from "./types.ts";

const UUID_BYTES = 16;
const INDEX_BYTES = 8;
/** Of the number of tags of a client id that is continued. */
const COUNT_BYTES = 2;
/** Of each of these tags, so that it has 20 characters in base64url. */
const SHORT_TAG_BYTES = 15;

/** What the first byte says to come before the data. */
const NOTHING = 0;
const CONTINUES = 1;

/** How much longer than its data a content is that has nothing else. */
export const LEAST_CONTENT = 1;

/** What an operation carries. */
export interface Content {
  readonly data: Bytes;
  /** Which client ids its own one continues; only in the first operation of a client. */
  readonly continues?: readonly Continues[] | undefined;
}

/** The bytes of content. */
export function contentBytes({ data, continues }: Content): Bytes {
  if (continues === undefined) return concat(Uint8Array.of(NOTHING), data);
  const parts = continues.map(({ client, index, tags }) => {
    const short = fromBase64url(tags) ?? new Uint8Array(0);
    const count = numberBytes(short.length / SHORT_TAG_BYTES, COUNT_BYTES);
    return concat(uuidBytes(client), numberBytes(index, INDEX_BYTES), count, short);
  });
  return concat(Uint8Array.of(CONTINUES, parts.length), ...parts, data);
}

/** The content that bytes are. Throws `Malformed` where they are cut, or say what is not known. */
export function contentOf(bytes: Bytes): Content {
  const take = takingFrom(bytes);
  const kind = numberOf(take(1));
  if (kind === NOTHING) return { data: take().slice() };
  if (kind !== CONTINUES) throw new Malformed("the content has an unknown part");
  const continues: Continues[] = [];
  for (let left = numberOf(take(1)); left > 0; left--) {
    const client = uuidOf(take(UUID_BYTES));
    const index = numberOf(take(INDEX_BYTES));
    const tags = toBase64url(take(numberOf(take(COUNT_BYTES)) * SHORT_TAG_BYTES));
    continues.push({ client, index, tags });
  }
  return { data: take().slice(), continues };
}
