/** The lines of an answer (PROTOCOL.md, section 7). */
import { Unavailable } from "../client/failures.ts";
import type { Line } from "../client/verify.ts";

/** In characters. A payload is as large as the server's `MAX_BODY` at most: 16 MiB unless changed. */
const MAX_LINE = 64 * 1024 * 1024;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/**
 * Yields the lines of an answer as they arrive, all that are whole; first none, once it shows that
 * the answer is a server's. Throws `Unavailable` at the end of an answer that was cut, and where one
 * is not as the protocol says.
 *
 * @param wait through which everything is awaited that the server may be late with
 */
export async function* readLines(
  response: Response,
  wait: <Result>(read: () => Promise<Result>) => Promise<Result>,
): AsyncGenerator<Line[], void, void> {
  const header = response.headers.get("operation-count") ?? "";
  // A proxy, or the page to log in to a network, may answer with 200 too, and has stored nothing.
  if (!/^\d+$/.test(header)) throw unlike("it has no Operation-Count");
  yield [];
  const count = Number(header);
  const reader = response.body?.getReader();
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  let received = 0;
  let rest = "";
  while (reader !== undefined) {
    const { value, done } = await wait(() => reader.read());
    if (done) break;
    const texts = (rest + decode(decoder, value)).split("\n");
    rest = texts.pop() ?? "";
    if (rest.length > MAX_LINE) throw unlike("a line is too long");
    const lines: Line[] = [];
    for (const text of texts) {
      const line = lineOf(text);
      if (line === undefined || received === count) {
        if (lines.length > 0) yield lines;
        throw unlike(line === undefined ? "a line is no operation" : "it has more lines");
      }
      lines.push(line);
      received++;
    }
    if (lines.length > 0) yield lines;
  }
  if (received < count || rest !== "") {
    throw new Unavailable(`the answer was cut: ${received} of ${count} operations came`);
  }
}

function decode(decoder: TextDecoder, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes, { stream: true });
  } catch (error) {
    if (error instanceof TypeError) throw unlike("it is not UTF-8");
    throw error;
  }
}

function lineOf(text: string): Line | undefined {
  let line: unknown;
  try {
    line = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
  if (typeof line !== "object" || line === null) return undefined;
  const {
    client_id: client,
    operation_index: index,
    payload,
  }: Record<string, unknown> = {
    ...line,
  };
  if (typeof client !== "string" || !uuid.test(client)) return undefined;
  if (typeof index !== "number" || !Number.isSafeInteger(index) || index < 0) return undefined;
  return typeof payload === "string" ? { client, index, payload } : undefined;
}

function unlike(what: string): Unavailable {
  return new Unavailable(`the answer is not as the protocol says: ${what}`);
}
