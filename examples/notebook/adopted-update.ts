/**
 * The update of Yjs that makes a note of an entry of an earlier form, byte for byte as Yjs encodes it (update
 * format 1: https://github.com/yjs/yjs/blob/main/INTERNALS.md). Each start makes one of each such entry, and
 * by way of a `Y.Doc` that takes most of the start.
 */
import { type Bytes, concat, utf8 } from "../../protocol/bytes.ts";

/** What a note is made of. */
export interface Written {
  /** The client id of the device that wrote it. */
  readonly client: string;
  readonly text: string;
  readonly bytes?: Bytes;
}

/** The client of Yjs that has written what an entry says: the same on all devices. */
export const ADOPTING = 1;

/** Kinds of content of an item. */
const BINARY = 3;
const STRING = 4;
const ANY = 8;
/** The item belongs to a key of a map. */
const IN_MAP = 0x20;
/** What holds the item has a name. */
const NAMED = 1;
/** Kinds of values, as lib0 encodes them. */
const INTEGER_0 = [125, 0];
const TEXT_VALUE = 119;

/** What each update has alike: made once, because there can be thousands of entries. */
const CLIENT = concat(inMap(ANY, "client"), Uint8Array.of(1, TEXT_VALUE));
const BYTES = inMap(BINARY, "bytes");
const TEXT = named(STRING, "text");
/** The last item, after which nothing is deleted. */
const KEPT = concat(named(ANY, "kept"), Uint8Array.of(1, ...INTEGER_0, 0));

export function adoptedUpdate({ client, text, bytes }: Written): Bytes {
  const parts = [CLIENT, ...sized(utf8(client))];
  let items = 2;
  if (bytes !== undefined) {
    parts.push(BYTES, ...sized(bytes));
    items++;
  }
  if (text !== "") {
    parts.push(TEXT, ...sized(utf8(text)));
    items++;
  }
  // Of one client, whose first item has the clock 0.
  return concat(Uint8Array.of(1, items, ADOPTING, 0), ...parts, KEPT);
}

/** An item under a key of the map `note`. */
function inMap(kind: number, key: string): Bytes {
  return concat(named(kind | IN_MAP, "note"), ...sized(utf8(key)));
}

function named(info: number, name: string): Bytes {
  return concat(Uint8Array.of(info, NAMED), ...sized(utf8(name)));
}

/** Bytes after their number, in seven bits a byte, the lowest first. */
function sized(bytes: Bytes): [size: Bytes, bytes: Bytes] {
  const size: number[] = [];
  let left = bytes.length;
  for (; left > 0x7f; left = Math.floor(left / 0x80)) size.push(0x80 | (left & 0x7f));
  return [Uint8Array.of(...size, left), bytes];
}
