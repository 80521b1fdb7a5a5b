/** What a request is answered with. The runtime's own `Response` is made of it at the very end. */
export interface Reply {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: string | Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array<ArrayBuffer>> | null;
}

/**
 * The class that answers are made with: the global one, or what the runtime's server has for it. On
 * Node, srvx writes its own to the socket as it is, for half the time that a real `Response` takes.
 */
export type ResponseClass = new (
  body: Reply["body"],
  init: { status: number; headers: Record<string, string> },
) => Response;

/** A document as JSON that nobody keeps. */
export function json(document: unknown): Reply {
  return {
    status: 200,
    headers: { "Content-Type": "application/json", "Cache-Control": "no-store" },
    body: JSON.stringify(document),
  };
}
