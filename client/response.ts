/** Reads the lines of an answer (PROTOCOL.md, Response). */
import { OPERATION_COUNT } from "../protocol/limits.ts";
import { LineSplitter, parseLine } from "../protocol/ndjson.ts";
import type { Line } from "../protocol/types.ts";
import { ServerUnavailable } from "./failures.ts";

/** In characters. A payload is as large as the server's `MAX_BODY` at most: 16 MiB unless changed. */
const MAX_LINE = 64 * 1024 * 1024;

/**
 * Yields the lines of an answer as they arrive, all that are whole; first none, once it shows that
 * the answer is a server's. Throws `ServerUnavailable` at the end of an answer that was cut, and where one
 * is not as the protocol says.
 *
 * @param wait through which everything is awaited that the server may be late with
 */
export async function* readLines(
  response: Response,
  wait: <Result>(read: () => Promise<Result>) => Promise<Result>,
): AsyncGenerator<Line[], void, void> {
  const header = response.headers.get(OPERATION_COUNT) ?? "";
  // A proxy, or the page to log in to a network, may answer with 200 too, and has stored nothing.
  if (!/^\d+$/.test(header)) throw unlike("it has no Operation-Count");
  yield [];
  const count = Number(header);
  const reader = response.body?.getReader();
  const splitter = new LineSplitter();
  let received = 0;
  while (reader !== undefined) {
    const { value, done } = await wait(() => reader.read());
    if (done) break;
    const texts = split(splitter, value);
    if (splitter.rest.length > MAX_LINE) throw unlike("a line is too long");
    const lines: Line[] = [];
    for (const text of texts) {
      const line = parseLine(text);
      if (line === undefined || received === count) {
        if (lines.length > 0) yield lines;
        throw unlike(line === undefined ? "a line is no operation" : "it has more lines");
      }
      lines.push(line);
      received++;
    }
    if (lines.length > 0) yield lines;
  }
  if (received < count || splitter.rest !== "") {
    throw new ServerUnavailable(`the answer was cut: ${received} of ${count} operations came`);
  }
}

function split(splitter: LineSplitter, bytes: Uint8Array): string[] {
  try {
    return splitter.push(bytes);
  } catch (error) {
    if (error instanceof TypeError) throw unlike("it is not UTF-8");
    throw error;
  }
}

function unlike(what: string): ServerUnavailable {
  return new ServerUnavailable(`the answer is not as the protocol says: ${what}`);
}
