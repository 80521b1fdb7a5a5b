/** Ports of loopback. */
import net from "node:net";

const [FIRST, COUNT] = [20_000, 12_000];
/** Several processes run at once, and each begins elsewhere. */
let next = Math.floor(COUNT * Math.random());

/**
 * A port that is free now, for a program that will listen on it. It is below those that a system gives to
 * outgoing connections and to servers on port 0: one of these could take it before the program does, or
 * while it is away. No process is given a port twice.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = FIRST + (next++ % COUNT);
    const server = net.createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once("error", () => resolve(false));
      server.listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
}

/** The port on which a server listens. */
export function portOf(server: net.Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("it has no port");
  return address.port;
}
