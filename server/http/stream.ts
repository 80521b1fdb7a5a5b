import { afterReading } from "./after-reading.ts";
import { characterEnd, escapeLineSeparators, hasLineSeparators } from "./line-separators.ts";

/** How the sending of a response's lines ended. */
export interface StreamEnd {
  /** Bytes of lines handed to the connection, before escapes of line separators. */
  readonly sent: number;
  /** Set when the connection was broken because the lines could not be read to their end. */
  readonly error?: unknown;
  /** True when the connection was broken because the reader took nothing for too long. */
  readonly stalled?: boolean;
}

/** A chunk leaves when it has this many bytes, or when it has been gathered for this long. */
const CHUNK_BYTES = 64 * 1024;
const CHUNK_MS = 10;

/** The first chunk may take longer: what turns out to be damaged before it leaves is not promised. */
const FIRST_CHUNK_MS = 500;

/** Larger chunks are sent in parts, so that even a slow reader shows progress. */
const PART_BYTES = 2 * CHUNK_BYTES;

export interface StreamOptions {
  /** Milliseconds after which the connection is broken if the reader takes nothing. */
  readonly timeout: number;
  /** Called exactly once, unless `streamOf` throws. */
  readonly onEnd: (end: StreamEnd) => void;
}

/**
 * Gathers the first lines, then returns a body that reads the rest as the client takes them. A
 * failure before the first line is thrown, so that it can still be answered with a problem; a later
 * one breaks the connection.
 */
export async function streamOf(
  lines: AsyncGenerator<Uint8Array, void, void>,
  { timeout, onEnd }: StreamOptions,
): Promise<Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>> {
  let sent = 0;
  let ended = false;
  let pulls = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = (how: Omit<StreamEnd, "sent"> = {}) => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    onEnd({ sent, ...how });
  };
  const first = await gather(lines, FIRST_CHUNK_MS);
  if (first.done && !hasLineSeparators(first.chunk)) {
    sent = first.chunk.byteLength;
    end();
    return first.chunk;
  }
  let ahead: Gathered | undefined = first;
  const stall = (controller: ReadableStreamDefaultController) => {
    const before = pulls;
    afterReading(() => {
      if (ended || pulls !== before) return;
      end({ stalled: true });
      controller.error(new Error("the response was cut: its reader took nothing"));
      void lines.return();
    });
  };
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start(controller) {
        timer = setTimeout(stall, timeout, controller);
      },
      async pull(controller) {
        // The time until the next chunk is the server's, not the reader's.
        clearTimeout(timer);
        pulls++;
        try {
          const { chunk, done } = ahead ?? (await gather(lines, CHUNK_MS));
          if (ended) return;
          const cut = characterEnd(chunk, Math.min(PART_BYTES, chunk.byteLength));
          const part = chunk.subarray(0, cut);
          const rest = chunk.subarray(cut);
          ahead = rest.byteLength > 0 ? { chunk: rest, done } : undefined;
          // Part by part: escapes take memory that is counted nowhere.
          if (part.byteLength > 0) controller.enqueue(escapeLineSeparators(part));
          sent += part.byteLength;
          if (!done || ahead !== undefined) {
            timer = setTimeout(stall, timeout, controller);
            return;
          }
          controller.close();
          end();
        } catch (error) {
          end({ error });
          // Not the error itself: some runtimes print the error of a stream.
          throw new Error("the response was cut: the operations could not be read to their end");
        }
      },
      async cancel() {
        end();
        await lines.return();
      },
    },
    { highWaterMark: 0 },
  );
}

interface Gathered {
  readonly chunk: Uint8Array<ArrayBuffer>;
  readonly done: boolean;
}

/** Gathers lines until there are enough for a chunk, or for some time. */
async function gather(
  lines: AsyncGenerator<Uint8Array, void, void>,
  milliseconds: number,
): Promise<Gathered> {
  const parts: Uint8Array[] = [];
  const since = performance.now();
  let bytes = 0;
  do {
    const { value, done } = await lines.next();
    if (done) return { chunk: joined(parts), done: true };
    parts.push(value);
    bytes += value.byteLength;
  } while (bytes < CHUNK_BYTES && performance.now() - since < milliseconds);
  return { chunk: joined(parts), done: false };
}

/** One piece of memory; a single part is not copied. */
function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const [only] = parts;
  return parts.length === 1 && only !== undefined && isUnshared(only) ? only : Buffer.concat(parts);
}

/** True for memory that no other thread can change, which a response requires. */
function isUnshared(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer;
}
