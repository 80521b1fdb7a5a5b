/**
 * The header of a journal, twice, should one be damaged: `FF FE "SYNCJ1"`, whether the file was
 * filled with zeros beforehand, 16 bytes that tell the file from a copy of it, and the CRC-32 of all
 * these.
 *
 * The id of a journal comes from its name, which it keeps, also in a copy. It is part of each record's
 * checksum, so that records of another journal on reused blocks of the disk are never taken for its
 * own. So a damaged header costs nothing but the certainty that the file is no copy.
 *
 * The digit in it is the version of the format, of the header and of the records behind it.
 */
import { createHash } from "node:crypto";
import { crc32 } from "node:zlib";

/** How many bytes an id has. */
export const ID_BYTES = 16;

/** How many bytes tell a file from its copies. */
export const PLACE_BYTES = 16;

const VERSION = "1";
const ANY_VERSION = Buffer.from("\xff\xfeSYNCJ", "latin1");
const MAGIC = Buffer.concat([ANY_VERSION, Buffer.from(VERSION)]);
const PLACE_AT = MAGIC.byteLength + 1;
const CRC_AT = PLACE_AT + PLACE_BYTES;
const ONE = CRC_AT + 4;

export const HEADER_BYTES = 2 * ONE;

export interface Header {
  /** Where the file was that this journal was written to. */
  readonly place: Buffer;
  /** The file grows with each record: it had no bytes before its header. */
  readonly grows: boolean;
}

export function encodeHeader({ place, grows }: Header): Buffer {
  const head = Buffer.concat([MAGIC, Buffer.of(grows ? 1 : 0), place]);
  const crc = Buffer.alloc(ONE - CRC_AT);
  crc.writeUInt32LE(crc32(head));
  const one = Buffer.concat([head, crc]);
  return Buffer.concat([one, one]);
}

/** `undefined` where the bytes are no header, or not all of one. */
export function parseHeader(bytes: Buffer): Header | undefined {
  if (bytes.byteLength < HEADER_BYTES) return undefined;
  return parseOne(bytes.subarray(0, ONE)) ?? parseOne(bytes.subarray(ONE, HEADER_BYTES));
}

/** The version of a format that this program does not know; `undefined` for any other bytes. */
export function unknownVersion(bytes: Buffer): string | undefined {
  const version = bytes.toString("latin1", ANY_VERSION.byteLength, MAGIC.byteLength);
  const isSaid = bytes.subarray(0, ANY_VERSION.byteLength).equals(ANY_VERSION);
  return isSaid && /^[2-9A-Za-z]$/.test(version) ? version : undefined;
}

function parseOne(bytes: Buffer): Header | undefined {
  const head = bytes.subarray(0, CRC_AT);
  const isHeader = head.subarray(0, MAGIC.byteLength).equals(MAGIC);
  if (!isHeader || bytes.readUInt32LE(CRC_AT) !== crc32(head)) return undefined;
  return { grows: head[MAGIC.byteLength] === 1, place: Buffer.from(head.subarray(PLACE_AT)) };
}

/** The id of a journal of this name, in hex. */
export function idOf(name: string): string {
  return createHash("sha256")
    .update(name)
    .digest("hex")
    .slice(0, 2 * ID_BYTES);
}

/** What the checksums of the records of a journal begin with. */
export function seedOf(id: string): number {
  return crc32(Buffer.from(id, "hex"));
}
