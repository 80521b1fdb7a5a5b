/** The lines of a response: newline-delimited JSON, one operation a line (PROTOCOL.md, Response). */
import { isClientId, isOperationIndex } from "./ids.ts";
import type { Line } from "./types.ts";

/** Formats the line of an operation, with its line feed. The server escapes line separators later. */
export function formatLine(client: string, index: number, payload: string): string {
  return lineOf(client, index, JSON.stringify(payload));
}

/** Formats the lines of consecutive operations, the first under the index `first`. */
export function formatLines(client: string, first: number, payloads: readonly string[]): string {
  const isQuoted = areOnlyQuoted(payloads);
  let lines = "";
  for (const [i, payload] of payloads.entries()) {
    lines += lineOf(client, first + i, isQuoted ? `"${payload}"` : JSON.stringify(payload));
  }
  return lines;
}

/**
 * Whether nothing in some texts is escaped in JSON, as in base64. An escape is longer than what it stands
 * for, so the length shows it. On Node, a call for all takes half as long as one for each.
 */
function areOnlyQuoted(texts: readonly string[]): boolean {
  let length = "[]".length;
  for (const text of texts) length += text.length + '"",'.length;
  return JSON.stringify(texts).length === length - ",".length;
}

/** @param json the payload in JSON */
function lineOf(client: string, index: number, json: string): string {
  return `{"client_id":"${client}","operation_index":${index},"payload":${json}}\n`;
}

/** The members of a JSON object; none for another JSON value. Throws a `SyntaxError` for other text. */
export function parseMembers(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text);
  return typeof value === "object" ? { ...value } : {};
}

/** A line that has nothing to unescape, up to its payload and from there. */
const PLAIN = /^([^\\]{0,150}?"payload":")([\w-]*)"\}$/;

/** Parses a line without its line feed; `undefined` if it is not that of an operation. */
export function parseLine(text: string): Line | undefined {
  // A payload that is cut out is no copy, which would take longer than all else.
  const [, start, plain] = PLAIN.exec(text) ?? [];
  let line: Record<string, unknown>;
  try {
    line = parseMembers(start === undefined ? text : `${start}"}`);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  const { client_id: client, operation_index: index, payload } = line;
  const isLine = isClientId(client) && isOperationIndex(index) && typeof payload === "string";
  if (!isLine) return undefined;
  if (line.snapshot === undefined) return { client, index, payload: plain ?? payload };
  const covers = coversIn(line.snapshot);
  return covers && { client, index, payload, covers };
}

/** What a snapshot covers, by its member in a line; `undefined` where that has another form. */
function coversIn(snapshot: unknown): Record<string, number> | undefined {
  if (!isObject(snapshot) || !isObject(snapshot.covers)) return undefined;
  const covers: Record<string, number> = {};
  for (const [client, index] of Object.entries(snapshot.covers)) {
    if (!isClientId(client) || !isOperationIndex(index)) return undefined;
    covers[client] = index;
  }
  return covers;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const LINE_FEED = 0x0a;

/**
 * How many bytes are decoded at once, unless a line is longer. V8 has a space of its own for strings of
 * more than about 128 KiB, in which one takes fifty times as long to make.
 */
const PIECE_BYTES = 64 * 1024;

/** Splits chunks of UTF-8 into lines, wherever the chunks end, in time that is linear in the bytes. */
export class LineSplitter {
  /** Whole lines are decoded at once: runtimes decode a stream many times as slowly. */
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** Begins with the bytes of a line that has not ended. */
  #buffer = new Uint8Array(0);
  #length = 0;

  /** The number of bytes after the last line feed. */
  get rest(): number {
    return this.#length;
  }

  /** Returns the lines that a chunk completes. Throws a `TypeError` for bytes that are not UTF-8. */
  push(chunk: Uint8Array): string[] {
    const end = chunk.lastIndexOf(LINE_FEED) + 1;
    let whole = chunk.subarray(0, end);
    if (end > 0 && this.#length > 0) {
      this.#append(whole);
      whole = this.#buffer.subarray(0, this.#length);
      this.#length = 0;
    }
    const lines: string[] = [];
    for (let at = 0; at < whole.length; ) {
      const last = whole.lastIndexOf(LINE_FEED, at + PIECE_BYTES - 1);
      const next = (last >= at ? last : whole.indexOf(LINE_FEED, at)) + 1;
      const texts = this.#decoder.decode(whole.subarray(at, next)).split("\n");
      texts.pop();
      for (const text of texts) lines.push(text);
      at = next;
    }
    this.#append(chunk.subarray(end));
    return lines;
  }

  /** Its buffer grows by doubling, and is used again: a new one for each long line takes longer. */
  #append(bytes: Uint8Array): void {
    const length = this.#length + bytes.length;
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(2 * length);
      larger.set(this.#buffer.subarray(0, this.#length));
      this.#buffer = larger;
    }
    this.#buffer.set(bytes, this.#length);
    this.#length = length;
  }
}
