import type { Readable } from "node:stream";
import type { ServerRequest } from "srvx";

/** A request's body on its way in. */
export interface Arriving {
  /** Resolves at the end of the body. */
  readonly ended: Promise<void>;
  /** Takes no more of it: `ended` rejects with this error. */
  readonly stop: (error: unknown) => void;
}

/** The client went away while it sent its body. There is nobody to answer. */
export class BodyCut extends Error {
  override name = "BodyCut";
  readonly code = "invalid-request";
  constructor(options?: ErrorOptions) {
    super("The body ended early. Send the request again.", options);
  }
}

/** A shorter body is taken in one piece, where the runtime is faster so. */
const IN_ONE_PIECE = 64 * 1024;

/**
 * Hands over a request's body piece by piece as it arrives. What `take` throws stops it. `ended`
 * rejects with `BodyCut` when the client goes away.
 */
export function arriving(request: ServerRequest, take: (piece: Uint8Array) => void): Arriving {
  const message = request.runtime?.node?.req;
  // A web stream around Node's own costs more than all the rest of a small request.
  if (message !== undefined) return fromNode(message, take);
  const { headers } = request;
  // HTTP itself ends the body there, when it is not sent in chunks.
  const length = headers.get("content-length");
  if (length !== null && Number(length) <= IN_ONE_PIECE && !headers.has("transfer-encoding")) {
    return inOnePiece(request, take);
  }
  return fromStream(request.body, take);
}

/** Whether a body is on its way that was not read to its end. */
export function hasMore(request: ServerRequest): boolean {
  const message = request.runtime?.node?.req;
  return message === undefined ? request.body !== null && !request.bodyUsed : !message.complete;
}

// Handlers are written where they are used, without names: what packs or transpiles the code may
// give every named function its name anew each time it is made, at a cost that shows here.

function fromNode(message: Readable, take: (piece: Uint8Array) => void): Arriving {
  let over = false;
  let reject: ((error: unknown) => void) | undefined;
  const ended = new Promise<void>((resolve, onReject) => {
    reject = onReject;
    message.on("data", (piece: Uint8Array) => {
      // After a stop, what still comes is let go, so that the answer can be sent.
      if (over) return;
      try {
        take(piece);
      } catch (error) {
        over = true;
        onReject(error);
      }
    });
    message.on("end", () => {
      over = true;
      resolve();
    });
    message.on("close", () => {
      if (!over) onReject(new BodyCut());
    });
    // "close" tells of it as well; an error that nobody listens to would end the process.
    message.on("error", () => undefined);
    if (message.destroyed) onReject(new BodyCut());
  });
  return {
    ended,
    stop(error) {
      over = true;
      reject?.(error);
    },
  };
}

function inOnePiece(request: Request, take: (piece: Uint8Array) => void): Arriving {
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
): Arriving {
  const reader = body?.getReader();
  let reject: ((error: unknown) => void) | undefined;
  const stop = (error: unknown) => {
    reject?.(error);
    // Not waited for: a client that goes on sending must not keep the answer waiting.
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
