import type { Socket } from "node:net";
import { createServer } from "node:net";
import { portOf } from "./ports.ts";

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
    /** What has arrived of a request, and whether it was answered. */
    let request = "";
    let isAnswered = false;
    connections.add(socket);
    accepted++;
    // A client that goes away may reset the connection.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => connections.delete(socket));
    socket.on("data", (data) => {
      request += data.toString("latin1");
      for (;;) {
        const body = request.indexOf("\r\n\r\n") + 4;
        if (body === 3) return;
        if (!isAnswered) answer(socket);
        isAnswered = true;
        const length = Number(/\r\ncontent-length: *(\d+)/i.exec(request)?.[1] ?? 0);
        if (request.length < body + length) return;
        // Another request may follow on the same connection.
        request = request.slice(body + length);
        isAnswered = false;
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const port = portOf(server);
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
