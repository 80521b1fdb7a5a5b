import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";

/** A server that answers requests with bytes of a test's choice. */
export interface RawServer {
  readonly url: string;
  /** Connections that are open. */
  readonly connections: ReadonlySet<Socket>;
  /** How many connections there have been. */
  readonly accepted: number;
  readonly close: () => Promise<void>;
}

/**
 * Starts a server on loopback.
 *
 * @param answer called once the head of a request has arrived, with the connection to write to
 */
export async function serveRaw(answer: (socket: Socket) => void): Promise<RawServer> {
  const connections = new Set<Socket>();
  let accepted = 0;
  const server = createServer((socket) => {
    let head = "";
    connections.add(socket);
    accepted++;
    // A client that goes away may reset the connection.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => connections.delete(socket));
    socket.on("data", (data) => {
      if (head.includes("\r\n\r\n")) return;
      head += data.toString("latin1");
      if (head.includes("\r\n\r\n")) answer(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = portOf(server.address());
  return {
    url: `http://127.0.0.1:${port}`,
    connections,
    get accepted() {
      return accepted;
    },
    close: async () => {
      for (const socket of connections) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function portOf(address: AddressInfo | string | null): AddressInfo {
  if (typeof address === "string" || address === null) throw new Error("the server has no port");
  return address;
}
