/** How the sending of a response's lines ended. */
export interface StreamEnd {
  /** Bytes handed to the connection. */
  readonly sent: number;
  /** Set when the connection was broken because the lines could not be read to their end. */
  readonly error?: unknown;
  /** True when the connection was broken because the reader took nothing for too long. */
  readonly stalled?: boolean;
}

/** A chunk leaves when it has this many bytes, or when it has been gathered for this long. */
const CHUNK_BYTES = 64 * 1024;
const CHUNK_MS = 10;

/** More is handed over in parts, so that even a slow reader shows that it takes something. */
const PART_BYTES = 2 * CHUNK_BYTES;

export interface StreamOptions {
  /** Milliseconds after which a connection is broken on which the reader takes nothing. */
  readonly timeout: number;
  /** Called once, however it ends. */
  readonly onEnd: (end: StreamEnd) => void;
}

/**
 * Gathers the first lines, then returns a body that reads the rest as the client takes them. What
 * fails before the first line is thrown, so that it can still be answered as an error; after that
 * it breaks the connection.
 */
export async function streamOf(
  lines: AsyncGenerator<Uint8Array, void, void>,
  { timeout, onEnd }: StreamOptions,
): Promise<Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>> {
  let sent = 0;
  let ended = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const end = (how: Omit<StreamEnd, "sent"> = {}) => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    onEnd({ sent, ...how });
  };
  const first = await gather(lines).catch((error: unknown) => {
    end();
    throw error;
  });
  if (first.done) {
    sent = first.chunk.byteLength;
    end();
    return first.chunk;
  }
  let ahead: Gathered | undefined = first;
  const stall = (controller: ReadableStreamDefaultController) => {
    end({ stalled: true });
    controller.error(new Error("the response was cut: its reader took nothing"));
    void lines.return();
  };
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      start(controller) {
        timer = setTimeout(stall, timeout, controller);
      },
      async pull(controller) {
        // What takes long now is the server's own affair.
        clearTimeout(timer);
        try {
          const { chunk, done } = ahead ?? (await gather(lines));
          if (ended) return;
          const part = chunk.subarray(0, PART_BYTES);
          const rest = chunk.subarray(PART_BYTES);
          ahead = rest.byteLength > 0 ? { chunk: rest, done } : undefined;
          if (part.byteLength > 0) controller.enqueue(part);
          sent += part.byteLength;
          if (!done || ahead !== undefined) {
            timer = setTimeout(stall, timeout, controller);
            return;
          }
          controller.close();
          end();
        } catch (error) {
          end({ error });
          // Not the error itself: some runtimes print what a stream fails with.
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

async function gather(lines: AsyncGenerator<Uint8Array, void, void>): Promise<Gathered> {
  const parts: Uint8Array[] = [];
  const since = performance.now();
  let bytes = 0;
  do {
    const { value, done } = await lines.next();
    if (done) return { chunk: joined(parts), done: true };
    parts.push(value);
    bytes += value.byteLength;
  } while (bytes < CHUNK_BYTES && performance.now() - since < CHUNK_MS);
  return { chunk: joined(parts), done: false };
}

/** One piece of memory, which is not copied where it is one already. */
function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const [only] = parts;
  return parts.length === 1 && only !== undefined && isUnshared(only) ? only : Buffer.concat(parts);
}

/** Whether no other thread can change the bytes, as a response asks for. */
function isUnshared(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer;
}
