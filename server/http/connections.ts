/** Limits of connections on Node. Bun and Deno have none: see `keepListening`. */
import type { Server } from "node:net";
import { fileLimit } from "./open-files.ts";

/** Files that are open without any connection: the program, its log, the sockets it listens on. */
export const BASE = 32;

/**
 * How many connections may be open at once: half of the files that the process may open. The others
 * are for storage, where a request has one open at a time.
 */
export function maxConnections(limit = fileLimit()): number {
  return Math.max(1, Math.floor((limit - BASE) / 2));
}

/** Closes connections past the limit, and those that have sent nothing for some milliseconds. */
export function limitConnections(server: Server, silence: number): void {
  server.maxConnections = maxConnections();
  server.on("connection", (socket) => {
    const timer = setTimeout(() => {
      if (socket.bytesRead === 0) socket.destroy();
    }, silence);
    socket.once("close", () => clearTimeout(timer));
  });
}
