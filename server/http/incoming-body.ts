import type { Readable } from "node:stream";
import type { ServerRequest } from "srvx";

/** The body of a request while it arrives. */
export interface IncomingBody {
  /** Resolves at the end of the body. */
  readonly ended: Promise<void>;
  /** Stops reading: `ended` rejects with this error. */
  readonly stop: (error: unknown) => void;
}

/** The client closed the connection while it sent its body. */
export class BodyCut extends Error {
  override name = "BodyCut";
  readonly code = "invalid-request";
  constructor(options?: ErrorOptions) {
    super("The body ended early. Send the request again.", options);
  }
}

/** Shorter bodies are read in one piece, which is faster on Bun and Deno. */
const IN_ONE_PIECE = 64 * 1024;

/**
 * Reads a body piece by piece as it arrives. An error that `take` throws stops the reading. `ended`
 * rejects with `BodyCut` when the client closes the connection.
 */
export function readBody(request: ServerRequest, take: (piece: Uint8Array) => void): IncomingBody {
  const message = request.runtime?.node?.req;
  // A web stream around Node's own stream costs more than all the rest of a small request.
  if (message !== undefined) return fromNode(message, take);
  const { headers } = request;
  // The HTTP layer ends the body at this length, unless it is chunked.
  const length = headers.get("content-length");
  if (length !== null && Number(length) <= IN_ONE_PIECE && !headers.has("transfer-encoding")) {
    return inOnePiece(request, take);
  }
  return fromStream(request.body, take);
}

/** True while a body is arriving that was not read to its end. */
export function hasMore(request: ServerRequest): boolean {
  const message = request.runtime?.node?.req;
  return message === undefined ? request.body !== null && !request.bodyUsed : !message.complete;
}

/**
 * Drops the header fields of a request that waits, except for its origin, which the answer needs: they
 * would be a fifth of its memory, and as much as the client likes. On Node alone: Bun and Deno keep
 * them out of reach.
 */
export function forgetHeaders(request: ServerRequest): void {
  const message = request.runtime?.node?.req;
  if (message === undefined) return;
  const { origin } = message.headers;
  const headers = origin === undefined ? {} : { origin };
  Object.assign(message, { headers, rawHeaders: [] });
}

// Callbacks are anonymous: a bundler that keeps names would assign one each time such a function is
// made, at a cost that shows here.

function fromNode(message: Readable, take: (piece: Uint8Array) => void): IncomingBody {
  // Nothing once it is over: the message outlives its body, and would keep it in memory.
  let taking: typeof take | undefined = take;
  let reject: ((error: unknown) => void) | undefined;
  const ended = new Promise<void>((resolve, onReject) => {
    reject = onReject;
    message.on("data", (piece: Uint8Array) => {
      // After a stop, the rest is discarded, so that the answer can be sent.
      try {
        taking?.(piece);
      } catch (error) {
        taking = undefined;
        onReject(error);
      }
    });
    message.on("end", () => {
      taking = undefined;
      resolve();
    });
    message.on("close", () => {
      if (taking !== undefined) onReject(new BodyCut());
    });
    // "close" follows; an "error" event without a listener would end the process.
    message.on("error", () => undefined);
    if (message.destroyed) onReject(new BodyCut());
  });
  return {
    ended,
    stop(error) {
      taking = undefined;
      reject?.(error);
    },
  };
}

function inOnePiece(request: Request, take: (piece: Uint8Array) => void): IncomingBody {
  let reject: ((error: unknown) => void) | undefined;
  const ended = new Promise<void>((resolve, onReject) => {
    reject = onReject;
    request.bytes().then(
      (piece) => {
        try {
          take(piece);
          resolve();
        } catch (error) {
          onReject(error);
        }
      },
      (cause: unknown) => onReject(new BodyCut({ cause })),
    );
  });
  return {
    ended,
    stop(error) {
      reject?.(error);
    },
  };
}

function fromStream(
  body: ReadableStream<Uint8Array> | null,
  take: (piece: Uint8Array) => void,
): IncomingBody {
  const reader = body?.getReader();
  let reject: ((error: unknown) => void) | undefined;
  const stop = (error: unknown) => {
    reject?.(error);
    // Not awaited: a client that keeps sending must not delay the answer.
    void reader?.cancel().catch((error: unknown) => error);
  };
  const ended = new Promise<void>((resolve, onReject) => {
    reject = onReject;
    const next = () => {
      if (reader === undefined) return resolve();
      reader.read().then(
        ({ done, value }) => {
          if (done) return resolve();
          try {
            take(value);
          } catch (error) {
            return stop(error);
          }
          next();
        },
        (cause: unknown) => onReject(new BodyCut({ cause })),
      );
    };
    next();
  });
  return { ended, stop };
}
