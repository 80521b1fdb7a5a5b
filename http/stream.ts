/** How the sending of a response's lines ended. */
export interface StreamEnd {
  /** Bytes handed to the connection. */
  readonly sent: number;
  /** Set when the connection was broken because the lines could not be read to their end. */
  readonly error?: unknown;
}

/** A chunk leaves when it has this many bytes, or when it has been gathered for this long. */
const CHUNK_BYTES = 64 * 1024;
const CHUNK_MS = 10;

/**
 * Gathers the first lines, then returns a body that reads the rest as the client takes them. What
 * fails before the first line is thrown, so that it can still be answered as an error; after that
 * it breaks the connection. `onEnd` is called once, however it ends.
 */
export async function streamOf(
  lines: AsyncGenerator<Uint8Array, void, void>,
  onEnd: (end: StreamEnd) => void,
): Promise<Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>>> {
  let sent = 0;
  let ended = false;
  const end = (error?: unknown) => {
    if (ended) return;
    ended = true;
    onEnd(error === undefined ? { sent } : { sent, error });
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
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        try {
          const { chunk, done } = ahead ?? (await gather(lines));
          ahead = undefined;
          if (ended) return;
          if (chunk.byteLength > 0) controller.enqueue(chunk);
          sent += chunk.byteLength;
          if (!done) return;
          controller.close();
          end();
        } catch (error) {
          end(error);
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
    if (done) return { chunk: Buffer.concat(parts), done: true };
    parts.push(value);
    bytes += value.byteLength;
  } while (bytes < CHUNK_BYTES && performance.now() - since < CHUNK_MS);
  return { chunk: Buffer.concat(parts), done: false };
}
