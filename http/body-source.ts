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

function fromNode(message: Readable, take: (piece: Uint8Array) => void): Arriving {
  const { promise: ended, resolve, reject } = deferred();
  const leave = () => {
    message.off("data", onData).off("end", onEnd).off("close", onClose);
  };
  const stop = (error: unknown) => {
    leave();
    // What still comes is let go, so that the answer can be sent.
    message.resume();
    reject(error);
  };
  const onData = (piece: Uint8Array) => {
    try {
      take(piece);
    } catch (error) {
      stop(error);
    }
  };
  const onEnd = () => {
    leave();
    resolve();
  };
  const onClose = () => stop(new BodyCut("the request's body ended early"));
  message.on("data", onData).on("end", onEnd).on("close", onClose);
  // Told of by "close" as well; without a listener it would end the process.
  message.on("error", () => undefined);
  if (message.destroyed) onClose();
  return { ended, stop };
}

function inOnePiece(request: Request, take: (piece: Uint8Array) => void): Arriving {
  const { promise: ended, resolve, reject } = deferred();
  request.bytes().then(
    (piece) => {
      try {
        take(piece);
        resolve();
      } catch (error) {
        reject(error);
      }
    },
    (cause: unknown) => reject(new BodyCut("the request's body ended early", { cause })),
  );
  return { ended, stop: reject };
}

function fromStream(
  body: ReadableStream<Uint8Array> | null,
  take: (piece: Uint8Array) => void,
): Arriving {
  const { promise: ended, resolve, reject } = deferred();
  const reader = body?.getReader();
  const stop = (error: unknown) => {
    reject(error);
    // Not waited for: a client that goes on sending must not keep the answer waiting.
    void reader?.cancel().catch((error: unknown) => error);
  };
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
      (cause: unknown) => reject(new BodyCut("the request's body ended early", { cause })),
    );
  };
  next();
  return { ended, stop };
}

// Node 20 has no Promise.withResolvers.
function deferred() {
  let resolve: () => void = () => undefined;
  let reject: (error: unknown) => void = () => undefined;
  const promise = new Promise<void>((onResolve, onReject) => {
    resolve = onResolve;
    reject = onReject;
  });
  return { promise, resolve, reject };
}
