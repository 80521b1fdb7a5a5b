import type { ServerRuntimeContext } from "srvx";
import { limitConnections } from "./connections.ts";
import { keepListening } from "./keep-listening.ts";
import { problemOf, problemReply } from "./problems.ts";
import type { ResponseClass } from "./response.ts";
import { pathOf, TargetNotPlain } from "./target.ts";
import { clearSocket, removeSocket, shareSocket, socketPath } from "./unix-socket.ts";

/** A connection that is idle for this long is closed; 255 is the maximum of Bun. */
const IDLE_SECONDS = 255;

/** How often Node checks for connections whose headers are late, in milliseconds. */
const CHECK_EVERY = 1000;

/** The address or port cannot be listened on. The message is for the operator. */
export class CannotListen extends Error {
  override name = "CannotListen";
}

type BunServer = NonNullable<ServerRuntimeContext["bun"]>["server"];

/** A server that listens. */
export interface Listening {
  readonly url: string;
  /** Stops accepting connections. Resolves once the last is closed; `force` closes them at once. */
  readonly close: (force?: boolean) => Promise<void>;
}

export interface ListenOptions {
  /** A host name, an address, or `unix:` and the path of a socket, which takes no port. */
  readonly hostname: string;
  readonly port: number;
  /**
   * How long the headers of a request may take, the first byte included, in milliseconds. Node
   * enforces it; Bun has a fixed limit of about 12 seconds, Deno none.
   */
  readonly headersTimeout: number;
  /** The paths that have an answer. */
  readonly paths: readonly string[];
  /** Called with what the operator should know, while the server continues. */
  readonly onError: (message: string) => void;
  /** Called when the server no longer accepts connections, and cannot listen again. */
  readonly onLost: (error: CannotListen) => void;
}

/** Starts to listen. Throws `CannotListen`. */
export async function listen(
  fetch: (request: Request) => Promise<Response>,
  { hostname, port, headersTimeout, paths, onError, onLost }: ListenOptions,
): Promise<Listening> {
  const path = socketPath(hostname);
  const place = path === undefined ? `${hostname}:${port}` : hostname;
  try {
    if (path !== undefined) await clearSocket(path);
    const { serve } = await adapter();
    const options = {
      fetch: process.versions.bun === undefined ? fetch : asItCame(fetch, paths),
      ...(path === undefined && { hostname, port }),
      silent: true,
      // That of srvx prints a countdown, and does nothing where CI is set.
      gracefulShutdown: false,
      node: {
        headersTimeout,
        // The time limit of a body depends on its length: `BodyReader` enforces it.
        requestTimeout: 0,
        connectionsCheckingInterval: CHECK_EVERY,
        ...(path !== undefined && { path }),
      },
      bun: {
        idleTimeout: IDLE_SECONDS,
        // `BodyReader` enforces the limit, and answers with a problem.
        maxRequestBodySize: Number.MAX_SAFE_INTEGER,
        development: false,
        // Outside development, Bun shares ports: two servers would split the requests.
        reusePort: false,
        // Bun looks these up by the target as it came, and gives `fetch` a URL that is normalized.
        routes: Object.fromEntries(
          paths.map((path) => [
            path,
            (request: Request, server: BunServer) => fetch(onBun(request, server)),
          ]),
        ),
        ...(path !== undefined && onSocket(path)),
      },
      // Deno would print the responses that were cut. They are in the log.
      deno: {
        onError: () => {
          const { body, ...init } = problemReply(problemOf(undefined), Date.now);
          return new Response(body, init);
        },
        ...(path !== undefined && { path }),
      },
    };
    const server = serve(options);
    const node = "node" in server ? server.node?.server : undefined;
    if (node !== undefined && "headersTimeout" in node) {
      node.setTimeout(IDLE_SECONDS * 1000);
      limitConnections(node, headersTimeout);
    }
    const { url = "" } = await server.ready();
    const close = keepListening(server, {
      clientTimeout: headersTimeout,
      start: async () => {
        if (path !== undefined) removeSocket(path);
        const port = Number(new URL(url).port);
        const next = serve({ ...options, ...(path === undefined && { port }) });
        await next.ready();
        if (path !== undefined) shareSocket(path);
        return next;
      },
      onFull: (reason) =>
        onError(
          `no connection is accepted until some have ended: ${reasonOf(reason)}; idle ones are closed; raise ulimit -n`,
        ),
      onLost: (error) =>
        onLost(new CannotListen(`could not listen again on ${place}: ${reasonOf(error)}`)),
    });
    if (path !== undefined) {
      shareSocket(path);
      return { url: hostname, close: (force) => close(force).finally(() => removeSocket(path)) };
    }
    // As the documents name it: http://127.0.0.1 is another origin, with other data in the browser.
    const named = new URL(url);
    if (hostname === "localhost") named.hostname = hostname;
    return { url: named.href, close };
  } catch (error) {
    throw new CannotListen(
      `could not listen on ${place}: ${reasonOf(error)}; choose another place by --host and --port, or HOST and PORT`,
    );
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** For Bun: without the host and the port that srvx takes from the environment. */
function onSocket(unix: string): object {
  return { unix, hostname: undefined, port: undefined };
}

/** The class of the responses, for a server that `listen` has started on this runtime. */
export async function responseClass(): Promise<ResponseClass> {
  return (await adapter()).FastResponse;
}

/**
 * The runtime's own server. Chosen at run time, not by `import "srvx"`, which a bundler resolves for
 * one runtime: the one file is for all.
 */
function adapter() {
  if (process.versions.bun !== undefined) return import("srvx/bun");
  if (process.versions.deno !== undefined) return import("srvx/deno");
  return import("srvx/node");
}

/**
 * A request on Bun with what srvx adds to it. Assigned: srvx defines properties and a getter anew for
 * each request, which takes as long as an eighth of a poll.
 */
function onBun(request: Request, server: BunServer): Request {
  const runtime: ServerRuntimeContext = { name: "bun", bun: { server } };
  return Object.assign(request, { runtime, ip: server.requestIP(request)?.address });
}

/**
 * On Bun, for requests whose target is none of the paths as it came: refuses those that only become
 * one when the target is normalized.
 */
function asItCame(
  fetch: (request: Request) => Promise<Response>,
  paths: readonly string[],
): (request: Request) => Response | Promise<Response> {
  return (request) => {
    if (!paths.includes(pathOf(request))) return fetch(request);
    const { body, ...init } = problemReply(new TargetNotPlain(), Date.now);
    return new Response(body, init);
  };
}
