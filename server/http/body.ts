import { isUtf8 } from "node:buffer";
import type { ServerRequest } from "srvx";
import { MIN_BYTES_PER_MS, REQUEST_TYPE } from "../../protocol/limits.ts";
import { InvalidRequest } from "../../sync/request.ts";
import type { Permit } from "./admission.ts";
import { arriving } from "./body-reader.ts";
import { deadline } from "./deadline.ts";
import { checkJsonComplexity } from "./json-guard.ts";
import { Problem } from "./problems.ts";

/** A request's JSON, and the bytes it came in. */
export interface Body {
  readonly json: unknown;
  readonly body: Uint8Array;
}

export interface BodyOptions {
  readonly maxBytes: number;
  /** Holds the bytes as they arrive. */
  readonly permit: Permit;
  /** Milliseconds that a body may take, beside what its length gives it. */
  readonly timeout: number;
}

/**
 * Reads a request's JSON, counting bytes as they arrive: `Content-Length` is a claim, and a body in
 * chunks makes none. Throws a `Problem`: 415, 413, 408, 400, or 503 when there is no memory for it.
 */
export async function readJson(request: ServerRequest, options: BodyOptions): Promise<Body> {
  checkMediaType(request.headers);
  const body = await readBytes(request, options);
  const issue = checkJsonComplexity(body);
  if (issue !== undefined) throw new InvalidRequest([issue]);
  try {
    return { json: parse(body), body };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new Problem(
      "invalid-request",
      "The body is not JSON in UTF-8. Check quotes, commas and that it is not cut off.",
    );
  }
}

/** Faster than a `TextDecoder` that refuses what is not UTF-8, on every runtime. */
function parse(body: Buffer): unknown {
  if (!isUtf8(body)) throw new SyntaxError("not UTF-8");
  // A byte order mark before the JSON is passed over.
  const start = body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? 3 : 0;
  return JSON.parse(body.toString("utf8", start));
}

/** Refusing other types also keeps web pages of other origins from posting without a preflight. */
function checkMediaType(headers: Headers): void {
  const usual = headers.get("content-type") === REQUEST_TYPE;
  if (usual && !headers.has("content-encoding")) return;
  const [type, ...parameters] = (headers.get("content-type") ?? "").toLowerCase().split(";");
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith("charset="));
  if (type?.trim() !== "application/json" || !/^(charset="?utf-8"?)?$/.test(charset ?? "")) {
    throw unsupported("Send the body as JSON in UTF-8, with Content-Type: application/json.");
  }
  if ((headers.get("content-encoding") ?? "identity").toLowerCase() !== "identity") {
    throw unsupported("Send the body without Content-Encoding.");
  }
}

async function readBytes(
  request: ServerRequest,
  { maxBytes, permit, timeout }: BodyOptions,
): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  const body = arriving(request, (piece) => {
    length += piece.byteLength;
    if (length > maxBytes) throw tooLarge(maxBytes);
    if (!permit.tryReserve(piece.byteLength))
      throw new Problem("overloaded", undefined, { headers: { Connection: "close" } });
    pieces.push(piece);
  });
  const since = performance.now();
  const leave = deadline(() => {
    const left = since + timeout + length / MIN_BYTES_PER_MS - performance.now();
    if (left <= 0) body.stop(tooSlow());
  });
  try {
    await body.ended;
  } finally {
    leave();
  }
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined
    ? Buffer.from(only.buffer, only.byteOffset, only.byteLength)
    : Buffer.concat(pieces, length);
}

function unsupported(detail: string): Problem {
  return new Problem("unsupported-media-type", detail);
}

function tooSlow(): Problem {
  return new Problem(
    "request-timeout",
    "The body arrived too slowly. Nothing was stored. Send fewer operations at once.",
  );
}

function tooLarge(maxBytes: number): Problem {
  return new Problem(
    "body-too-large",
    `The body is larger than ${maxBytes} bytes. Send fewer operations at once, or have the server's MAX_BODY raised.`,
    { members: { limit: maxBytes, setting: "MAX_BODY" } },
  );
}
