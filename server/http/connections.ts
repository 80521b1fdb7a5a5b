/** Limits of connections on Node. Bun and Deno have none: see `keepListening`. */
import type { IncomingMessage, Server } from "node:http";
import type { Duplex } from "node:stream";
import { afterReading } from "./after-reading.ts";
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

/**
 * Closes connections past the limit, those that have sent nothing for some milliseconds, idle ones, and
 * those whose head is late or cannot be read.
 */
export function limitConnections(server: Server, silence: number): void {
  server.maxConnections = maxConnections();
  server.on("connection", (socket) => {
    const timer = setTimeout(() => {
      afterReading(() => {
        if (socket.bytesRead === 0) socket.destroy();
      });
    }, silence);
    socket.once("close", () => clearTimeout(timer));
  });
  // Without a listener, Node closes them before it has read what came in time.
  server.on("timeout", (socket) => {
    const { bytesRead } = socket;
    afterReading(() => {
      if (socket.bytesRead === bytesRead) socket.destroy();
    });
  });
  refuseLateHeads(server);
}

/** What Node answers to a request that it cannot read; 400 to all others. */
const STATUSES: Readonly<Record<string, string>> = {
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
  HPE_CHUNK_EXTENSIONS_OVERFLOW: "413 Payload Too Large",
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
};

/** Answers as Node does by itself; but where a head is late, once its end could have been read. */
function refuseLateHeads(server: Server): void {
  const late = new Set<Duplex>();
  const onRequest = ({ socket }: IncomingMessage) => late.delete(socket);
  server.on("clientError", (error: NodeJS.ErrnoException, socket) => {
    if (error.code !== "ERR_HTTP_REQUEST_TIMEOUT") return refuse(socket, error.code);
    // Not for longer than it is needed: it would be called with every request.
    if (late.size === 0) server.on("request", onRequest);
    late.add(socket);
    afterReading(() => {
      if (late.delete(socket)) refuse(socket, error.code);
      if (late.size === 0) server.off("request", onRequest);
    });
  });
}

function refuse(socket: Duplex, code = ""): void {
  if (socket.writable && !isAnswering(socket)) {
    const status = STATUSES[code] ?? "400 Bad Request";
    socket.write(`HTTP/1.1 ${status}\r\nConnection: close\r\n\r\n`);
  }
  socket.destroy();
}

/** Whether the head of an answer was sent and the answer has not ended: Node shows it only here. */
function isAnswering(socket: Duplex): boolean {
  const answer = "_httpMessage" in socket ? socket._httpMessage : undefined;
  return (
    typeof answer === "object" && answer !== null && Reflect.get(answer, "headersSent") === true
  );
}
