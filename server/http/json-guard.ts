import { MAX_OPERATIONS } from "../../protocol/limits.ts";
import type { ValidationIssue } from "../../sync/request.ts";

/** Bodies up to this size, in bytes, are not checked: parsing them is cheap whatever they hold. */
const UNCHECKED = 64 * 1024;

/** The request itself, its sync status and its batch: a sync request has no other. */
const MAX_CONTAINERS = 3;

/** The fewest bytes of a value outside a batch: an entry of a sync status, `"UUID":0,`. */
const MIN_VALUE_BYTES = 41;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const OPEN_BRACE = 0x7b;

/**
 * Finds JSON that is more complex than any sync request, before it is parsed: 16 MiB of brackets
 * take a parser more than a gigabyte. One pass over the bytes, about a millisecond for each MiB. It
 * does not check whether the body is JSON.
 */
export function checkJsonComplexity(body: Uint8Array): ValidationIssue | undefined {
  if (body.byteLength <= UNCHECKED) return undefined;
  const maxValues = MAX_OPERATIONS + body.byteLength / MIN_VALUE_BYTES;
  let containers = 0;
  let values = 0;
  const { length } = body;
  for (let i = 0; i < length; i++) {
    switch (body[i]) {
      case QUOTE:
        i = stringEnd(body, i + 1);
        break;
      case COMMA:
        values++;
        break;
      case OPEN_BRACKET:
      case OPEN_BRACE:
        containers++;
        break;
    }
    if (containers > MAX_CONTAINERS) {
      return {
        pointer: "#",
        detail: `must have no more than ${MAX_CONTAINERS} objects and arrays in all`,
      };
    }
    if (values > maxValues) {
      return { pointer: "#", detail: "must not have more values than a sync request can have" };
    }
  }
  return undefined;
}

/** The index of the quote that closes a string whose first character is at `start`. */
function stringEnd(body: Uint8Array, start: number): number {
  const { length } = body;
  let i = body.indexOf(QUOTE, start);
  // Ciphertext has no escapes. A string that has some is walked through: a quote may be escaped.
  if (i === -1 || body[i - 1] !== BACKSLASH) return i === -1 ? length : i;
  i = start;
  while (i < length) {
    const byte = body[i];
    if (byte === QUOTE) return i;
    i += byte === BACKSLASH ? 2 : 1;
  }
  return i;
}
