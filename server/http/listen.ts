import { problemOf, problemReply } from "./problems.ts";
import type { ResponseClass } from "./response.ts";

/** A connection on which nothing moves for this long is closed; 255 is the most that Bun takes. */
const IDLE_SECONDS = 255;

/** How often Node looks for connections whose headers are late, in milliseconds. */
const NODE_LOOKS_EVERY = 1000;

/** The server cannot listen where it should. The message is for the person who starts it. */
export class CannotListen extends Error {
  override name = "CannotListen";
}

/** A server that listens. */
export interface Listening {
  readonly url: string;
  /** Takes no new connections, and resolves once the last one is closed, or at once by `force`. */
  readonly close: (force?: boolean) => Promise<void>;
}

export interface ListenOptions {
  readonly hostname: string;
  readonly port: number;
  /**
   * How long the headers of a request may take, in milliseconds. Node keeps to it; Bun has a limit
   * of its own, about 12 seconds; Deno has none.
   */
  readonly headersTimeout: number;
}

/** Starts to listen. The runtimes tell of a port that is taken in different ways. */
export async function listen(
  fetch: (request: Request) => Promise<Response>,
  { hostname, port, headersTimeout }: ListenOptions,
): Promise<Listening> {
  try {
    const { serve } = await adapter();
    const server = serve({
      fetch,
      hostname,
      port,
      silent: true,
      // Its own handling prints a countdown, and does nothing where CI is set.
      gracefulShutdown: false,
      node: {
        headersTimeout,
        // The time of a body depends on its length, and is kept where it is read.
        requestTimeout: 0,
        connectionsCheckingInterval: NODE_LOOKS_EVERY,
      },
      bun: {
        idleTimeout: IDLE_SECONDS,
        // The limit is enforced where it can be answered with a problem.
        maxRequestBodySize: Number.MAX_SAFE_INTEGER,
        development: false,
        // Bun shares the port when not in development: two servers would split the requests.
        reusePort: false,
      },
      // Deno reports here the responses that were cut, and would print them; they are in the log.
      deno: {
        onError: () => {
          const { body, ...init } = problemReply(problemOf(undefined), Date.now);
          return new Response(body, init);
        },
      },
    });
    if ("node" in server) server.node?.server?.setTimeout(IDLE_SECONDS * 1000);
    const { url = "" } = await server.ready();
    return { url, close: (force) => server.close(force) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CannotListen(`could not listen on ${hostname}:${port}: ${reason}; set HOST or PORT`);
  }
}

/** What answers are made with on this runtime, for a server that `listen` has started. */
export async function responseClass(): Promise<ResponseClass> {
  return (await adapter()).FastResponse;
}

/**
 * The runtime's own server. Chosen when it runs, and not by `import "srvx"`, which is settled when
 * the server is packed into one file: that file is for every runtime.
 */
function adapter() {
  if (process.versions.bun !== undefined) return import("srvx/bun");
  if (process.versions.deno !== undefined) return import("srvx/deno");
  return import("srvx/node");
}
