/** Malformed content, in every way of ENVELOPE.md, E-1.11. */
import { type Bytes, concat, utf8, uuidBytes } from "../../protocol/bytes.ts";
import { OTHER } from "./files.ts";

const of = (...numbers: readonly number[]): Bytes => Uint8Array.from(numbers);
const client = uuidBytes(OTHER);
const index = of(0, 0, 0, 0, 0, 0, 0, 7);
const shortTag = new Uint8Array(15).fill(1);
const tag = new Uint8Array(16).fill(2);
/** Names one client id, and one operation of it. */
const continued = concat(client, index, of(0, 1), shortTag);
const head = concat(client, index, tag);
const entry = concat(of(5), utf8("entry"));

/** How it is malformed, after the word "content", and its bytes. */
export const MALFORMED: readonly (readonly [string, Bytes])[] = [
  ["without a byte", of()],
  ["of an unknown part", concat(of(4), entry)],
  ["of an unknown part behind the known ones", concat(of(7, 0, 0), entry)],
  ["with the highest bit", concat(of(128), entry)],
  ["cut before the number of client ids continued", of(1)],
  ["cut before a client id continued", of(1, 1)],
  ["cut in a client id continued", concat(of(1, 1), client.subarray(1))],
  ["cut in an index continued", concat(of(1, 1), client, index.subarray(1))],
  ["cut in the number of tags", concat(of(1, 1), client, index, of(0))],
  ["cut in the tags", concat(of(1, 1), client, index, of(0, 2), shortTag, of(5))],
  ["with fewer client ids continued than it says", concat(of(1, 2), continued)],
  ["cut before the number of heads", of(2)],
  ["cut before the number of heads, and after what is continued", concat(of(3, 1), continued)],
  ["cut before a head", of(2, 1)],
  ["cut in the client id of a head", concat(of(2, 1), client.subarray(1))],
  ["cut in the index of a head", concat(of(2, 1), client, index.subarray(1))],
  ["cut in the tag of a head", concat(of(2, 1), client, index, tag.subarray(1))],
  ["with fewer heads than it says", concat(of(2, 2), head)],
  ["cut in a length", of(0, 128)],
  ["cut in the last byte of a length", of(0, 255, 255, 255)],
  ["with a length of five bytes", concat(of(0, 133, 128, 128, 128, 0), utf8("entry"))],
  ["with a length beyond the end", concat(of(0), entry.subarray(0, -1))],
  ["with a length beyond the end, and nothing behind it", of(0, 1)],
  ["with a length beyond the end, after an entry", concat(of(0), entry, of(2, 1))],
  ["with the greatest length", concat(of(0, 255, 255, 255, 127), utf8("entry"))],
];

const previous = new Uint8Array(16).fill(3);
const secret = new Uint8Array(256).fill(4);
/** The position of one client id, which continues no other one. */
const position = concat(client, index, tag, previous, of(0, 7), secret, of(0));

/** The same of the content of a snapshot, E-1.13, with secrets of 256 bytes. */
export const MALFORMED_SNAPSHOTS: readonly (readonly [string, Bytes])[] = [
  ["without a byte", of()],
  ["of an unknown part", of(4, 0)],
  ["cut before the number of positions", of(0)],
  ["with a number of positions of five bytes", of(0, 128, 128, 128, 128, 0)],
  ["with fewer positions than it says", concat(of(0, 2), position)],
  ["cut in a client id", concat(of(0, 1), client.subarray(1))],
  ["cut in an index", concat(of(0, 1), client, index.subarray(1))],
  ["cut in a tag", concat(of(0, 1), client, index, tag.subarray(1))],
  ["cut in the tag before", concat(of(0, 1), client, index, tag, previous.subarray(1))],
  ["cut in a distance", concat(of(0, 1), client, index, tag, previous, of(0))],
  ["cut in a secret", concat(of(0, 1), client, index, tag, previous, of(0, 7), secret.subarray(1))],
  ["cut before what is continued", concat(of(0, 1), position.subarray(0, -1))],
  ["cut in what is continued", concat(of(0, 1), position.with(-1 + position.length, 1))],
  [
    "with a session that begins before the first operation",
    concat(of(0, 1), client, index, tag, previous, of(0, 8), secret, of(0)),
  ],
  [
    "with an index that no operation has",
    concat(of(0, 1), client, of(0, 32, 0, 0, 0, 0, 0, 0), tag, previous, of(0, 7), secret, of(0)),
  ],
];
