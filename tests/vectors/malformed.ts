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
