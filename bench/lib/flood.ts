/** Clients that misuse a server on real sockets, and one that does not. */
import { randomUUID } from "node:crypto";
import net from "node:net";
import { syncHead, syncRequest } from "./requests.ts";
import { randomPublicKey } from "./users.ts";

/** Settings of a server that is flooded from loopback while others come through a proxy. */
export const BEHIND_PROXY = { TRUSTED_PROXIES: "127.0.0.1,::1" };

/** By this header of the proxy a request counts for another network address. */
const FROM_ELSEWHERE = { "X-Forwarded-For": "192.0.2.1" };

/** How many bytes a connection writes at once. */
const PIECE = 256 * 1024;

/** What a connection does once it is open. */
export type Behavior = (socket: net.Socket) => void;

/** Many connections at once. One that the server closes is opened again, until the flood ends. */
export class Flood {
  /** Responses so far by status. */
  readonly statuses = new Map<string, number>();
  /** Connections opened so far. */
  opened = 0;
  readonly #port: number;
  readonly #behavior: Behavior;
  readonly #pause: number;
  readonly #sockets = new Set<net.Socket>();
  #ended = false;

  /** @param pause about how many milliseconds later a closed connection is opened again */
  constructor(port: number, connections: number, behavior: Behavior, pause = 0) {
    this.#port = port;
    this.#behavior = behavior;
    this.#pause = pause;
    for (let i = 0; i < connections; i++) this.#open();
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#sockets.size;
  }

  end(): void {
    this.#ended = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(): void {
    this.opened++;
    const socket = net.connect(this.#port, "localhost");
    this.#sockets.add(socket);
    socket.on("connect", () => this.#behavior(socket));
    socket.on("data", (data) => {
      for (const [, status = ""] of data.toString("latin1").matchAll(/HTTP\/1\.1 (\d{3})/g)) {
        this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
      }
    });
    // Some floods make the server break their connections.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      // Those that are refused at once do not come back at once.
      const pause = this.#pause * (0.5 + Math.random());
      if (!this.#ended) setTimeout(() => this.#open(), pause);
    });
  }
}

/** Sends one request after the other, each by a new user, with these members. */
export function newUsers(members: object): Behavior {
  return sequence(() =>
    syncRequest(JSON.stringify({ user: randomPublicKey(), client_id: randomUUID(), ...members })),
  );
}

/** Sends a request with this body again and again. */
export function repeated(body: string): Behavior {
  const request = syncRequest(body);
  return sequence(() => request);
}

/** Sends each request once the one before is answered. */
function sequence(next: () => Buffer): Behavior {
  return (socket) => {
    socket.on("data", () => send(socket, next()));
    send(socket, next());
  };
}

/** Writes in pieces: of a long buffer, Bun copies what is left whenever the system takes some. */
function send(socket: net.Socket, bytes: Buffer): void {
  for (let at = 0; at < bytes.length; at += PIECE) {
    if (socket.write(bytes.subarray(at, at + PIECE))) continue;
    socket.once("drain", () => send(socket, bytes.subarray(at + PIECE)));
    return;
  }
}

/** Announces a body of `length` bytes, and sends only about `sent` of them. */
export function slowWriter(length: number, sent: number): Behavior {
  const start = Buffer.from(`${syncHead(length)}{"payload":"${"p".repeat(sent)}`);
  return (socket) => send(socket, start);
}

/** Sends a request, and reads nothing of the response but its beginning. */
export function slowReader(body: object): Behavior {
  const request = syncRequest(JSON.stringify(body));
  return (socket) => {
    socket.once("data", (data) => {
      // One that is refused comes again: it would not see that its connection is closed.
      if (data.toString("latin1").startsWith("HTTP/1.1 200")) socket.pause();
      else socket.destroy();
    });
    socket.write(request);
  };
}

/** Starts a head and never ends it. */
export function endlessHead(): Behavior {
  return (socket) => socket.write("POST /sync HTTP/1.1\r\nA: ");
}

/**
 * How often a request is sent again because its connection was lost, as a client does: one that sends
 * late is sometimes closed before its answer is read.
 */
const MAX_LOST = 5;

class Refused extends Error {
  override name = "Refused";
}

/** A user who appends and polls, one request after the other, from another network address. */
export class RegularUser {
  /** The latency of each response, in milliseconds. */
  readonly latencies: number[] = [];
  readonly #url: URL;
  readonly #headers: Record<string, string>;
  readonly #user = randomPublicKey();
  readonly #client = randomUUID();
  #index = 0;

  constructor(url: string, headers: Record<string, string> = FROM_ELSEWHERE) {
    this.#url = new URL("/sync", url);
    this.#headers = { "Content-Type": "application/json", ...headers };
  }

  /** Appends an operation, and polls. Throws unless both are answered with 200. */
  async sync(): Promise<void> {
    const operation_index = this.#index++;
    const request = { user: this.#user, client_id: this.#client, operation_index };
    await this.#send({ ...request, payload: "sealed" });
    await this.#send(request);
  }

  async #send(body: unknown): Promise<void> {
    const since = performance.now();
    for (let lost = 0; ; ) {
      try {
        const response = await fetch(this.#url, {
          method: "POST",
          headers: this.#headers,
          body: JSON.stringify(body),
        });
        const text = await response.text();
        if (response.status === 200) break;
        // Node answers so by itself, where this process was too busy to send the request in time.
        if (response.status !== 408 || text !== "") {
          throw new Refused(`${response.status} ${text}`);
        }
      } catch (error) {
        if (error instanceof Refused || ++lost > MAX_LOST) throw error;
      }
    }
    this.latencies.push(performance.now() - since);
  }
}
