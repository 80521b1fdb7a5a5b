/** The lines of a response: newline-delimited JSON, one operation a line (PROTOCOL.md, Response). */
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

/** Splits chunks of UTF-8 into lines, wherever the chunks end, in time that is linear in the bytes. */
export class LineSplitter {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  /** The pieces of a line that has not ended, joined once it has. */
  #pieces: string[] = [];
  #length = 0;

  /** The number of characters after the last line feed. */
  get rest(): number {
    return this.#length;
  }

  /** Returns the lines that a chunk completes. Throws a `TypeError` for bytes that are not UTF-8. */
  push(chunk: Uint8Array): string[] {
    const lines = this.#decoder.decode(chunk, { stream: true }).split("\n");
    const rest = lines.pop() ?? "";
    if (lines.length > 0) {
      lines[0] = `${this.#pieces.join("")}${lines[0]}`;
      this.#pieces = [];
      this.#length = 0;
    }
    this.#pieces.push(rest);
    this.#length += rest.length;
    return lines;
  }
}
