import { isUtf8 } from "node:buffer";
import type { ServerRequest } from "srvx";
import { textOf } from "../../protocol/bytes.ts";
import { MIN_BYTES_PER_MS, REQUEST_TYPE } from "../../protocol/limits.ts";
import { InvalidRequest } from "../../sync/request.ts";
import { afterReading } from "./after-reading.ts";
import type { Permit } from "./concurrency-limiter.ts";
import { readBody } from "./incoming-body.ts";
import { hiddenIssue, inspectJson } from "./json-guard.ts";
import { Problem } from "./problems.ts";

/** The JSON of a request, and its bytes. */
export interface Body {
  readonly json: unknown;
  readonly body: Uint8Array;
}

export interface BodyReaderOptions {
  readonly maxBytes: number;
  /** How many clients a sync status may name. */
  readonly maxClients: number;
  /** Milliseconds that a body may take, in addition to those that its length allows. */
  readonly timeout: number;
}

/** How often deadlines are checked, in milliseconds. */
const CHECK_EVERY = 100;

/** Reads the bodies of requests. */
export class BodyReader {
  readonly #options: BodyReaderOptions;
  readonly #deadlines = new Deadlines();

  constructor(options: BodyReaderOptions) {
    this.#options = options;
  }

  /**
   * Reads a request's JSON. Throws problems: 415, 413, 408, 400, or 503 where there is no memory for
   * it.
   *
   * @param permit holds the bytes as they arrive
   */
  async readJson(request: ServerRequest, permit: Permit): Promise<Body> {
    checkMediaType(request.headers);
    const body = await this.#readBytes(request, permit);
    const shape = inspectJson(body, this.#options.maxClients);
    if (shape.tooComplex !== undefined) throw new InvalidRequest([shape.tooComplex]);
    const json = parse(body);
    const issue = hiddenIssue(shape, json);
    if (issue !== undefined) throw new InvalidRequest([issue]);
    return { json, body };
  }

  /** Counts bytes as they arrive: `Content-Length` is a claim, and a chunked body makes none. */
  async #readBytes(request: ServerRequest, permit: Permit): Promise<Uint8Array> {
    const { maxBytes, timeout } = this.#options;
    const pieces: Uint8Array[] = [];
    let length = 0;
    const body = readBody(request, (piece) => {
      length += piece.byteLength;
      if (length > maxBytes) throw tooLarge(maxBytes);
      if (!permit.tryReserve(piece.byteLength)) {
        throw new Problem("overloaded", undefined, { headers: { Connection: "close" } });
      }
      pieces.push(piece);
    });
    const start = performance.now();
    const isLate = () => start + timeout + length / MIN_BYTES_PER_MS <= performance.now();
    const unwatch = this.#deadlines.watch(() => {
      if (!isLate()) return;
      afterReading(() => {
        if (isLate()) body.stop(tooSlow());
      });
    });
    try {
      await body.ended;
    } finally {
      unwatch();
    }
    const [only] = pieces;
    return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces, length);
  }
}

/** Parses a body. Throws a problem unless it is JSON in UTF-8. */
function parse(body: Uint8Array): unknown {
  const text = decode(body);
  if (text === undefined) throw notJson();
  try {
    // A byte order mark before the JSON is ignored.
    return JSON.parse(text.charCodeAt(0) === 0xfeff ? text.slice(1) : text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw notJson();
  }
}

/** Decodes UTF-8; `undefined` for other bytes. */
function decode(body: Uint8Array): string | undefined {
  // The pieces of Node are buffers. Where bytes are none, `TextDecoder` is native, and making a
  // buffer of them takes as long as all the rest of this.
  if (Buffer.isBuffer(body)) return isUtf8(body) ? body.toString() : undefined;
  try {
    return textOf(body);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
}

function notJson(): Problem {
  return new Problem(
    "invalid-request",
    "The body is not JSON in UTF-8. Check quotes, commas and that it is not cut off.",
  );
}

/** Other types are refused also because web pages may post some of them without a preflight. */
function checkMediaType(headers: Headers): void {
  const isPlain = headers.get("content-type") === REQUEST_TYPE;
  if (isPlain && !headers.has("content-encoding")) return;
  const [type, ...parameters] = (headers.get("content-type") ?? "").toLowerCase().split(";");
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith("charset="));
  if (type?.trim() !== REQUEST_TYPE || !/^(charset="?utf-8"?)?$/.test(charset ?? "")) {
    throw unsupported(`Send the body as JSON in UTF-8, with Content-Type: ${REQUEST_TYPE}.`);
  }
  if ((headers.get("content-encoding") ?? "identity").toLowerCase() !== "identity") {
    throw unsupported("Send the body without Content-Encoding.");
  }
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

/**
 * Checks deadlines while there are any. One timer for all: one for each request would cost more
 * than it takes to read a short body.
 */
export class Deadlines {
  readonly #checks = new Set<() => void>();
  #timer: ReturnType<typeof setInterval> | undefined;

  /** Calls `check` every `CHECK_EVERY` milliseconds until the returned function is called. */
  watch(check: () => void): () => void {
    this.#checks.add(check);
    this.#timer ??= setInterval(() => this.#tick(), CHECK_EVERY);
    return () => {
      this.#checks.delete(check);
    };
  }

  #tick(): void {
    for (const check of this.#checks) check();
    if (this.#checks.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
