import type { RateStatus } from "../../sync/rate-limiter.ts";

/** Header fields of a response. */
export type Fields = Readonly<Record<string, string>>;

/** The answer to a request. The runtime's own `Response` is made of it at the very end. */
export interface Reply {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>> | null;
  /** For how many milliseconds the request waited for news, which is no work of the server. */
  readonly waited?: number;
  /** Resolves at the end of a body that is sent as it is read; absent where the body is there as a whole. */
  readonly ended?: Promise<ReplyEnd>;
}

/** How the body of an answer ended. */
export interface ReplyEnd {
  /** Set where the connection was broken because the operations could not be read to their end. */
  readonly cut?: {
    readonly user: string;
    /** Bytes handed to the connection before that. */
    readonly sent: number;
    readonly error: unknown;
  };
}

/**
 * The class of the runtime's responses: the global one, or what the runtime's server has for it. On
 * Node, srvx writes its own to the socket as it is, in half the time that a real `Response` takes.
 */
export type ResponseClass = new (
  body: Reply["body"],
  init: { status: number; headers: Record<string, string> },
) => Response;

/** A JSON document that is not to be cached. */
export function json(document: unknown): Reply {
  return {
    status: 200,
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
    body: JSON.stringify(document),
  };
}

/** The fields of draft-ietf-httpapi-ratelimit-headers; none where there is no limit. */
export function rateFields(rate: RateStatus | undefined): Fields {
  if (rate === undefined) return {};
  const { quota, window, remaining, fullIn } = rate;
  return {
    "RateLimit-Policy": `"user";q=${quota};w=${window}`,
    RateLimit: `"user";r=${remaining};t=${fullIn}`,
  };
}
