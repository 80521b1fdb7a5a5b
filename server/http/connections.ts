/** Limits of connections on Node. Bun and Deno accept until no file is left: see `keepListening`. */
import { readFileSync } from "node:fs";
import type { Server } from "node:net";

/** Files that are open without any connection: the program, its log, the sockets it listens on. */
const BASE = 32;

/**
 * How many connections may be open at once: half of the files that the process may open. The others
 * are for storage, where a request has one open at a time.
 */
export function maxConnections(limits = limitsOfProcess()): number {
  const [, files] = /^Max open files +(\d+)/m.exec(limits) ?? [];
  if (files === undefined) return Number.POSITIVE_INFINITY;
  return Math.max(1, Math.floor((Number(files) - BASE) / 2));
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

/** Empty where the system is not Linux. */
function limitsOfProcess(): string {
  return process.platform === "linux" ? readFileSync("/proc/self/limits", "utf8") : "";
}
