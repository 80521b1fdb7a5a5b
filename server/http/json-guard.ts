/**
 * What the bytes of a JSON document show and its parsed value does not: how complex it is, how many
 * members it has as written, and numbers that parsing rounds.
 */
import { MAX_OPERATIONS } from "../../protocol/limits.ts";
import type { ValidationIssue } from "../../sync/request.ts";

/** Bodies up to this size, in bytes, may be as complex as they are: parsing them is cheap. */
const UNCHECKED = 64 * 1024;

/** The request itself, its sync status and its batch; with a snapshot, which has no batch, one more. */
const MAX_CONTAINERS = 3;

/** Members besides those that name clients. */
const MAX_MEMBERS = 5;

/** The fewest bytes of a value outside a batch: an entry of a sync status, `"UUID":0,`. */
const MIN_VALUE_BYTES = 41;

/** Characters of a number that an answer repeats at most. */
const MAX_ECHO = 32;

const QUOTE = 0x22;
const PLUS = 0x2b;
const COMMA = 0x2c;
const MINUS = 0x2d;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const COLON = 0x3a;
const UPPER_E = 0x45;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const LOWER_E = 0x65;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACKET = 0x5d;
const CLOSE_BRACE = 0x7d;

/** What one pass over the bytes finds. It does not check whether they are JSON. */
export interface JsonShape {
  /** Set for a document that is more complex than any sync request: it is not to be parsed. */
  readonly tooComplex?: ValidationIssue;
  /** How many members all objects have together, as they are written. */
  readonly members: number;
  /** A number that is not whole, and that parsing rounds to one that is. */
  readonly rounded?: string;
}

/**
 * Inspects a body before it is parsed: 16 MiB of brackets take a parser more than a gigabyte. About
 * a millisecond for each MiB.
 *
 * @param maxClients how many clients a sync status may name
 */
export function inspectJson(body: Uint8Array, maxClients: number): JsonShape {
  const { length } = body;
  const isLarge = length > UNCHECKED;
  const maxValues = MAX_OPERATIONS + length / MIN_VALUE_BYTES;
  let containers = 0;
  let values = 0;
  let members = 0;
  let rounded: string | undefined;
  /** How many containers are open, and the members since an object was opened or closed. */
  let depth = 0;
  let together = 0;
  /** What a snapshot covers: an object in an object in the request. */
  let hasCovers = false;
  let isInArray = false;
  for (let i = 0; i < length; i++) {
    const byte = body[i] ?? 0;
    if (byte === QUOTE) i = stringEnd(body, i + 1);
    else if (byte === COMMA) values++;
    else if (byte === COLON) {
      members++;
      together++;
    } else if (byte === OPEN_BRACKET || byte === OPEN_BRACE) {
      containers++;
      together = 0;
      if (depth === 1) isInArray = byte === OPEN_BRACKET;
      if (depth === 2 && byte === OPEN_BRACE && !isInArray) hasCovers = true;
      depth++;
    } else if (byte === CLOSE_BRACKET || byte === CLOSE_BRACE) {
      together = 0;
      depth--;
    } else if (isDigit(byte)) {
      const { end, isPlain } = numeralAt(body, i);
      if (!isPlain) rounded ??= roundedNumeral(body.subarray(i, end));
      i = end - 1;
    }
    if (!isLarge) continue;
    const most = hasCovers ? MAX_CONTAINERS + 1 : MAX_CONTAINERS;
    if (containers > most) {
      return complex("#", `must have no more than ${most} objects and arrays in all`);
    }
    if (together > MAX_MEMBERS + maxClients) {
      const pointer = depth > 2 ? "#/snapshot/covers" : "#/sync_status";
      return complex(pointer, `must name no more than ${maxClients} clients`);
    }
    if (values > maxValues) {
      return complex("#", "must not have more values than a sync request can have");
    }
  }
  return rounded === undefined ? { members } : { members, rounded };
}

/** What parsing would hide of a document: a number that is rounded, a member that stands twice. */
export function hiddenIssue(
  { members, rounded }: JsonShape,
  json: unknown,
): ValidationIssue | undefined {
  if (rounded !== undefined) {
    return { pointer: "#", detail: `must have whole numbers, and ${rounded} is not one` };
  }
  if (membersIn(json) === members) return undefined;
  return { pointer: "#", detail: "must not have a member twice in one object" };
}

function complex(pointer: string, detail: string): JsonShape {
  return { tooComplex: { pointer, detail }, members: 0 };
}

/** How many members the objects of a parsed document have together. */
function membersIn(json: unknown): number {
  let members = 0;
  const open = [json];
  for (let value = open.pop(); value !== undefined; value = open.pop()) {
    if (typeof value !== "object" || value === null) continue;
    const inside: unknown[] = Object.values(value);
    if (!Array.isArray(value)) members += inside.length;
    for (const one of inside) if (typeof one === "object") open.push(one);
  }
  return members;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= NINE;
}

/** Where the numeral that begins at `start` ends, and whether it has digits alone. */
function numeralAt(body: Uint8Array, start: number): { end: number; isPlain: boolean } {
  let isPlain = true;
  let end = start;
  for (; end < body.length; end++) {
    const byte = body[end] ?? 0;
    if (isDigit(byte)) continue;
    const isPart =
      byte === DOT || byte === LOWER_E || byte === UPPER_E || byte === PLUS || byte === MINUS;
    if (!isPart) break;
    isPlain = false;
  }
  return { end, isPlain };
}

/** The text of a numeral that is not whole and is parsed as if it were; `undefined` for others. */
function roundedNumeral(bytes: Uint8Array): string | undefined {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  const [, whole = "", fraction = "", exponent = "0"] =
    /^(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text) ?? [];
  if (!Number.isInteger(Number(text))) return undefined;
  const digits = whole + fraction;
  let zeros = 0;
  while (zeros < digits.length && digits[digits.length - 1 - zeros] === "0") zeros++;
  // Zero is whole, whatever its exponent is.
  if (zeros === digits.length || zeros - fraction.length + Number(exponent) >= 0) return undefined;
  return text.length <= MAX_ECHO ? text : `${text.slice(0, MAX_ECHO)}…`;
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
