/**
 * The records of a journal, and how they are found again.
 *
 * | Offset | Bytes | What it is |
 * |---|---|---|
 * | 0 | 2 | `FF FE`, which no name and no payload contains: both are UTF-8 |
 * | 2 | 4 | CRC-32 of all that follows, beginning with the journal's seed and the record's offset |
 * | 6 | 1 | kind: 1 put, 2 delete, 3 commit |
 * | 7 | 1 | length of the name |
 * | 8 | 4 | length of the body |
 * | 12 | | name, body |
 *
 * Numbers are unsigned, and the lowest byte comes first. A batch is some puts and deletes. Once they
 * are durable, a commit follows: only then do they count. The body of a commit is its time, 6 bytes
 * of milliseconds of Unix time; earlier ones have none.
 */
import { crc32 } from "node:zlib";

/** What a record says. */
export interface RecordData {
  readonly kind: "put" | "delete";
  readonly name: string;
  readonly body: Uint8Array;
}

/** A record as it was found. Its body is a view, made when it is asked for: most are not. */
export class FoundRecord implements RecordData {
  readonly kind: "put" | "delete";
  readonly name: string;
  /** Where it begins in its journal. */
  readonly offset: number;
  /** The length of the body. */
  readonly size: number;
  /** When its batch was committed, in milliseconds of Unix time; `undefined` if nothing says so. */
  committedAt: number | undefined;
  readonly #bytes: Buffer;
  readonly #bodyAt: number;

  constructor(kind: RecordData["kind"], found: Decoded, offset: number, bytes: Buffer) {
    this.kind = kind;
    this.name = found.name;
    this.offset = offset;
    this.size = found.end - found.bodyAt;
    this.#bytes = bytes;
    this.#bodyAt = found.bodyAt;
  }

  get body(): Uint8Array {
    return this.#bytes.subarray(this.#bodyAt, this.#bodyAt + this.size);
  }
}

/** Bytes of a journal in which records were, and are no more. */
export interface Damage {
  readonly offset: number;
  readonly bytes: number;
}

/** What a record takes beside its name and its body, in bytes. */
export const RECORD_OVERHEAD = 12;

const TIME_BYTES = 6;

/** What a commit takes, in bytes. */
export const COMMIT_BYTES = RECORD_OVERHEAD + TIME_BYTES;

/** Bodies have fewer bytes: what seems to be longer is damaged. */
export const MAX_BODY = 64 * 1024;

const MARK = Buffer.from([0xff, 0xfe]);
const CHECKED_FROM = 6;
const KINDS = ["put", "delete", "commit"] as const;
const MAX_TIME = 2 ** (8 * TIME_BYTES) - 1;

/** The records of a batch that begins at `base`, one after the other, and the offset of each. */
export function encodeBatch(
  seed: number,
  base: number,
  records: readonly RecordData[],
): { readonly bytes: Buffer; readonly offsets: readonly number[] } {
  const length = records.reduce((sum, record) => sum + encodedLength(record), 0);
  const bytes = Buffer.allocUnsafe(length);
  const offsets: number[] = [];
  let at = 0;
  for (const { kind, name, body } of records) {
    offsets.push(base + at);
    at = encode(bytes, at, { seed, base, kind, name, body });
  }
  return { bytes, offsets };
}

/**
 * The record that makes a batch count.
 *
 * @param time in milliseconds of Unix time
 */
export function encodeCommit(seed: number, base: number, time: number): Buffer {
  const bytes = Buffer.allocUnsafe(COMMIT_BYTES);
  const body = Buffer.alloc(TIME_BYTES);
  // No clock, however wrong, keeps a batch from being stored.
  body.writeUIntLE(Math.min(Math.max(0, Math.ceil(time)), MAX_TIME), 0, TIME_BYTES);
  encode(bytes, 0, { seed, base, kind: "commit", name: "", body });
  return bytes;
}

/** How many bytes a record takes. */
export function encodedLength({ name, body }: Pick<RecordData, "name" | "body">): number {
  return RECORD_OVERHEAD + name.length + body.byteLength;
}

/** What the bytes behind a commit hold. */
export interface Scan {
  /** The records that count. */
  readonly records: readonly FoundRecord[];
  /** Where records that counted are damaged. */
  readonly damage: readonly Damage[];
  /** Behind the last commit: the next scan begins here. */
  readonly end: number;
  /** The records behind `end`: of a batch whose commit is not written yet, was lost, or never came. */
  readonly tail: readonly FoundRecord[];
}

/**
 * Finds the records of a journal. What does not check is damage where a commit follows; otherwise it
 * is the end of a batch that was never durable.
 *
 * @param base the offset of `bytes` in the journal
 */
export function scan(seed: number, bytes: Buffer, base: number): Scan {
  const records: FoundRecord[] = [];
  const damage: Damage[] = [];
  let batch: FoundRecord[] = [];
  let damaged: Damage[] = [];
  let end = 0;
  for (let at = 0; at < bytes.byteLength; ) {
    const found = decode(seed, bytes, at, base);
    if (found === undefined) {
      const next = nextRecord(seed, bytes, at + 1, base);
      if (next === undefined) break;
      damaged.push({ offset: base + at, bytes: next - at });
      at = next;
      continue;
    }
    const offset = base + at;
    at = found.end;
    if (found.kind !== "commit") {
      batch.push(new FoundRecord(found.kind, found, offset, bytes));
      continue;
    }
    const committedAt = timeOf(bytes, found);
    // Not all as arguments of one call: there may be more than a call takes.
    for (const some of batch) {
      some.committedAt = committedAt;
      records.push(some);
    }
    for (const some of damaged) damage.push(some);
    [batch, damaged, end] = [[], [], at];
  }
  // Behind damage, nothing says whether a record was written before it or after.
  const whole = batch.filter(({ offset }) => damaged.every((some) => offset < some.offset));
  return { records, damage, end: base + end, tail: whole };
}

type Kind = (typeof KINDS)[number];

interface Encoded {
  readonly kind: Kind;
  readonly name: string;
  readonly body: Uint8Array;
}

/** A record among some bytes: where its body begins there, and where it ends. */
interface Decoded {
  readonly kind: Kind;
  readonly name: string;
  readonly bodyAt: number;
  readonly end: number;
}

/** Writes a record, and returns where it ends. */
function encode(
  bytes: Buffer,
  at: number,
  { seed, base, kind, name, body }: Encoded & { readonly seed: number; readonly base: number },
): number {
  const bodyAt = at + RECORD_OVERHEAD + name.length;
  const end = bodyAt + body.byteLength;
  bytes.set(MARK, at);
  bytes[at + 6] = KINDS.indexOf(kind) + 1;
  bytes[at + 7] = name.length;
  bytes.writeUInt32LE(body.byteLength, at + 8);
  bytes.write(name, at + RECORD_OVERHEAD, "latin1");
  bytes.set(body, bodyAt);
  bytes.writeUInt32LE(checksum(seed, base + at, bytes.subarray(at + CHECKED_FROM, end)), at + 2);
  return end;
}

/** The record at an offset; `undefined` where there is none, or not all of it. */
function decode(seed: number, bytes: Buffer, at: number, base: number): Decoded | undefined {
  const nameAt = at + RECORD_OVERHEAD;
  if (nameAt > bytes.byteLength || bytes[at] !== MARK[0] || bytes[at + 1] !== MARK[1]) {
    return undefined;
  }
  const kind = KINDS[bytes.readUInt8(at + 6) - 1];
  const bodyAt = nameAt + bytes.readUInt8(at + 7);
  const length = bytes.readUInt32LE(at + 8);
  const end = bodyAt + length;
  if (kind === undefined || length >= MAX_BODY || end > bytes.byteLength) return undefined;
  const found = checksum(seed, base + at, bytes.subarray(at + CHECKED_FROM, end));
  if (found !== bytes.readUInt32LE(at + 2)) return undefined;
  return { kind, name: bytes.toString("latin1", nameAt, bodyAt), bodyAt, end };
}

/** The time of a commit; `undefined` for one that has none. */
function timeOf(bytes: Buffer, { bodyAt, end }: Decoded): number | undefined {
  return end - bodyAt === TIME_BYTES ? bytes.readUIntLE(bodyAt, TIME_BYTES) : undefined;
}

/** Where the next record begins; `undefined` where none follows. */
function nextRecord(seed: number, bytes: Buffer, from: number, base: number): number | undefined {
  for (let at = bytes.indexOf(MARK, from); at !== -1; at = bytes.indexOf(MARK, at + 1)) {
    if (decode(seed, bytes, at, base) !== undefined) return at;
  }
  return undefined;
}

/** A record of another journal, or of another place in this one, does not have it. */
function checksum(seed: number, offset: number, bytes: Uint8Array): number {
  return crc32(bytes, (seed + offset) >>> 0);
}
