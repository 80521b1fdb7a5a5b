import type { ServerRequest } from "srvx";

/**
 * Calls back once the client has closed the connection of a request that is not answered yet; on Node
 * also once the answer was sent. Node and Bun tell at once. Deno tells only of requests of less than
 * about 500 bytes, shorter than any that has a key, and prints a warning where it is asked.
 */
export function onDisconnect(request: ServerRequest, callback: () => void): void {
  if (request.runtime?.deno !== undefined) return;
  const response = request.runtime?.node?.res;
  // Where it is closed already, the event has passed. A signal takes much more memory on Node.
  if (response !== undefined) {
    if (response.destroyed) callback();
    else response.once("close", callback);
    return;
  }
  const { signal } = request;
  if (signal.aborted) callback();
  else signal.addEventListener("abort", callback, { once: true });
}

/**
 * Whether Node has taken a request behind another one of its connection that has no answer yet: it does
 * not learn when the client closes that. Bun and Deno take no such request.
 */
export function isPipelined({ runtime }: ServerRequest): boolean {
  return runtime?.node?.res?.socket === null;
}

/** The shortest time limit of a connection on Bun, in seconds. */
const BUN_SECONDS = 1;

/**
 * Ends the connection of a request whose answer was cut because its reader took nothing. Node breaks
 * it by itself. Bun would keep it for as long as an idle one, and has no other way to close it than
 * by that time limit. Deno has none: this resolves once the client has closed it.
 */
export async function disconnect(request: ServerRequest): Promise<void> {
  request.runtime?.bun?.server.timeout(request, BUN_SECONDS);
  await Promise.allSettled([request.runtime?.deno?.info.completed]);
}
