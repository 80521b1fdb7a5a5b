/** The lines of a response: newline-delimited JSON, one operation a line (PROTOCOL.md, Response). */
import { join } from "./bytes.ts";
import { isClientId, isOperationIndex } from "./ids.ts";
import type { Line } from "./types.ts";

/** Formats the line of an operation, with its line feed. The server escapes line separators later. */
export function formatLine(client: string, index: number, payload: string): string {
  return `{"client_id":"${client}","operation_index":${index},"payload":${JSON.stringify(payload)}}\n`;
}

/** The members of a JSON object; none for another JSON value. Throws a `SyntaxError` for other text. */
export function parseMembers(text: string): Record<string, unknown> {
  const value: unknown = JSON.parse(text);
  return typeof value === "object" ? { ...value } : {};
}

/** Parses a line without its line feed; `undefined` if it is not that of an operation. */
export function parseLine(text: string): Line | undefined {
  let line: Record<string, unknown>;
  try {
    line = parseMembers(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  const { client_id: client, operation_index: index, payload } = line;
  const isLine = isClientId(client) && isOperationIndex(index) && typeof payload === "string";
  return isLine ? { client, index, payload } : undefined;
}

const LINE_FEED = 0x0a;

/** Splits chunks of UTF-8 into lines, wherever the chunks end, in time that is linear in the bytes. */
export class LineSplitter {
  /** Whole lines are decoded at once: runtimes decode a stream many times as slowly. */
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** The pieces of a line that has not ended. */
  #pieces: Uint8Array[] = [];
  #length = 0;

  /** The number of bytes after the last line feed. */
  get rest(): number {
    return this.#length;
  }

  /** Returns the lines that a chunk completes. Throws a `TypeError` for bytes that are not UTF-8. */
  push(chunk: Uint8Array): string[] {
    const end = chunk.lastIndexOf(LINE_FEED) + 1;
    const rest = end === 0 ? chunk : chunk.subarray(end);
    let lines: string[] = [];
    if (end > 0) {
      const whole =
        this.#length === 0
          ? chunk.subarray(0, end)
          : join([...this.#pieces, chunk.subarray(0, end)]);
      lines = this.#decoder.decode(whole).split("\n");
      lines.pop();
      this.#pieces = [];
      this.#length = 0;
    }
    // A copy: a chunk of a runtime may be a small part of a large buffer.
    if (rest.length > 0) this.#pieces.push(rest.slice());
    this.#length += rest.length;
    return lines;
  }
}
