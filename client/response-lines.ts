/** The lines of a response (PROTOCOL.md, Response). */
import { LINES_TYPE, OPERATION_COUNT } from "../protocol/limits.ts";
import { LineSplitter, parseLine } from "../protocol/ndjson.ts";
import type { Line } from "../protocol/types.ts";
import type { BoundedResponse } from "./bounded-response.ts";
import { invalidResponse, ServerUnavailable } from "./errors.ts";

/** Longer than any line: a payload is at most as large as the server's `MAX_BODY`, 16 MiB by default. */
const MAX_LINE_CHARACTERS = 64 * 1024 * 1024;

/**
 * Yields the whole lines of a response as they arrive. The first yield has no lines: the headers are
 * those of a sync server. Throws `ServerUnavailable` where it breaks off or is not as the
 * protocol says.
 */
export async function* readLines(response: BoundedResponse): AsyncGenerator<Line[], void, void> {
  const header = response.headers.get(OPERATION_COUNT) ?? "";
  // A proxy or the login page of a network may answer with 200 too; nothing is stored then.
  if (response.type !== LINES_TYPE || !/^\d{1,15}$/.test(header)) {
    throw invalidResponse(`it has no ${OPERATION_COUNT}, or is no ${LINES_TYPE}`);
  }
  yield [];
  const count = Number(header);
  const splitter = new LineSplitter();
  let received = 0;
  let next = response.read();
  for (let bytes = await next; bytes !== undefined; bytes = await next) {
    // They arrive while these are used. What fails is reported when it is asked for, if it is.
    next = response.read();
    next.catch(() => undefined);
    const texts = split(splitter, bytes);
    if (splitter.rest > MAX_LINE_CHARACTERS) throw invalidResponse("a line is too long");
    const lines: Line[] = [];
    for (const text of texts) {
      const line = parseLine(text);
      if (line === undefined || received === count) {
        if (lines.length > 0) yield lines;
        throw invalidResponse(line === undefined ? "a line is no operation" : "it has more lines");
      }
      lines.push(line);
      received++;
    }
    if (lines.length > 0) yield lines;
  }
  if (received < count || splitter.rest > 0) {
    const message = `the answer was cut: ${received} of ${count} operations came`;
    throw new ServerUnavailable(message, "incomplete-response");
  }
}

function split(splitter: LineSplitter, bytes: Uint8Array): string[] {
  try {
    return splitter.push(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw invalidResponse("it is not UTF-8");
    throw error;
  }
}
