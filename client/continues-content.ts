/** Which client ids another one continues, as bytes. */
import { toBase64url } from "../protocol/base64.ts";
import { type Bytes, concat } from "../protocol/bytes.ts";
import { type Input, numberBytes } from "./binary.ts";
import { bytesOf, nameBytes, takeName } from "./name-content.ts";
import type { Continues } from "./types.ts";

/** Of the number of tags of a client id that is continued. */
const COUNT_BYTES = 2;
/** Of each of these tags, so that it has 20 characters in base64url. */
const SHORT_TAG_BYTES = 15;

export function continuesBytes(continues: readonly Continues[]): Bytes {
  return concat(Uint8Array.of(continues.length), ...continues.map(oneBytes));
}

export function takeContinues(input: Input): Continues[] {
  const continues: Continues[] = [];
  for (let left = input.number(1); left > 0; left--) {
    const name = takeName(input);
    const tags = toBase64url(input.take(input.number(COUNT_BYTES) * SHORT_TAG_BYTES));
    continues.push({ ...name, tags });
  }
  return continues;
}

function oneBytes(one: Continues): Bytes {
  const short = bytesOf(one.tags);
  const count = numberBytes(short.length / SHORT_TAG_BYTES, COUNT_BYTES);
  return concat(nameBytes(one), count, short);
}
