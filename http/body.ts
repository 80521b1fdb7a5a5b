import { Problem } from "./problem.ts";

/**
 * Reads a request's JSON, counting bytes as they arrive: `Content-Length` is a claim, and a body in
 * chunks makes none. Throws a `Problem`: 415, 413, or 400.
 */
export async function readJson(
  request: Request,
  maxBytes: number,
): Promise<{ json: unknown; bytes: number }> {
  checkMediaType(request.headers);
  const body = await readBytes(request, maxBytes);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(body);
    return { json: JSON.parse(text), bytes: body.byteLength };
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    throw invalid(
      "The body is not JSON in UTF-8. Check quotes, commas and that it is not cut off.",
    );
  }
}

/** Refusing other types also keeps web pages of other origins from posting without a preflight. */
function checkMediaType(headers: Headers): void {
  const [type, ...parameters] = (headers.get("content-type") ?? "").toLowerCase().split(";");
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith("charset="));
  if (type?.trim() !== "application/json" || !/^(charset="?utf-8"?)?$/.test(charset ?? "")) {
    throw unsupported("Send the body as JSON in UTF-8, with Content-Type: application/json.");
  }
  if ((headers.get("content-encoding") ?? "identity").toLowerCase() !== "identity") {
    throw unsupported("Send the body as it is, without Content-Encoding.");
  }
}

async function readBytes(request: Request, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  const reader = request.body?.getReader();
  while (reader !== undefined) {
    const { done, value } = await reader.read().catch((error: unknown) => {
      throw new BodyCut("the request's body ended early", { cause: error });
    });
    if (done) break;
    length += value.byteLength;
    if (length > maxBytes) {
      // Not awaited: a client that goes on sending must not keep the answer waiting.
      void reader.cancel().catch((error: unknown) => error);
      throw tooLarge(maxBytes);
    }
    chunks.push(value);
  }
  return chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks, length);
}

/** The client went away while it sent its body. There is nobody to answer. */
export class BodyCut extends Error {
  override name = "BodyCut";
}

function invalid(detail: string): Problem {
  return new Problem({ status: 400, type: "invalid-request", title: "Invalid request", detail });
}

function unsupported(detail: string): Problem {
  return new Problem({
    status: 415,
    type: "unsupported-media-type",
    title: "Unsupported media type",
    detail,
    headers: { Accept: "application/json" },
  });
}

function tooLarge(maxBytes: number): Problem {
  return new Problem({
    status: 413,
    type: "body-too-large",
    title: "Body too large",
    detail: `The body is larger than ${maxBytes} bytes. Send fewer operations at once, or have the server's MAX_BODY raised.`,
    members: { limit: maxBytes, setting: "MAX_BODY" },
    headers: { Connection: "close" },
  });
}
