/** Devices that wait for news, each on a connection and from a network address of its own. */
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { maxConnections } from "../../server/http/connections.ts";
import { syncRequest } from "./requests.ts";
import type { ServerProcess } from "./server-process.ts";

/** The longest wait that the server can be set to, in seconds. */
export const LONGEST_WAIT = 240;

/** Settings of a server on which very many devices may wait. */
export const FOR_WAITING = {
  MAX_WAIT: `${LONGEST_WAIT}s`,
  MAX_WAITING: "100000",
  TRUSTED_PROXIES: "127.0.0.1,::1",
};

/** How many devices can wait on a server that may open as many files as this process. */
export function mostWaiting(): number {
  return Math.floor(maxConnections() / 2);
}

/** So many requests are sent at a time. */
const AT_ONCE = 200;

/** A request that waits for news, from a network address by number. */
export function waitRequest(body: unknown, address = 0): Buffer {
  const parts = [address >> 16, (address >> 8) & 255, address & 255];
  return syncRequest(JSON.stringify(body), {
    Prefer: `wait=${LONGEST_WAIT}`,
    "X-Forwarded-For": `10.${parts.join(".")}`,
  });
}

export class WaitingDevices {
  /** How many were answered. */
  answered = 0;
  readonly #sockets: net.Socket[] = [];
  /** The first answer. */
  #first = "";

  /** Opens the connections, and resolves once all requests wait. */
  static async open(server: ServerProcess, bodies: readonly unknown[]): Promise<WaitingDevices> {
    const devices = new WaitingDevices();
    const port = Number(new URL(server.url).port);
    for (let i = 0; i < bodies.length; i += AT_ONCE) {
      const some = bodies.slice(i, i + AT_ONCE);
      await Promise.all(some.map((body, k) => devices.#send(port, waitRequest(body, i + k))));
      // Those that do not wait yet take places of MAX_REQUESTS.
      while ((await server.metric("sync_waiting")) < i + some.length) {
        if (devices.answered > 0) throw new Error(`a device did not wait: ${devices.#first}`);
        await sleep(20);
      }
    }
    return devices;
  }

  /** Resolves once so many were answered. */
  async untilAnswered(count: number): Promise<void> {
    while (this.answered < count) await sleep(1);
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  #send(port: number, request: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
      socket.once("error", reject);
      socket.once("data", (data) => {
        if (this.answered++ === 0) this.#first = data.toString();
      });
      socket.once("connect", () => {
        socket.write(request);
        resolve();
      });
      this.#sockets.push(socket);
    });
  }
}
