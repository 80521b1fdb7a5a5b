import type { ServerRequest } from "srvx";

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
