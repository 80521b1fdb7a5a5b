/** Those who misuse a server on real sockets, one who does not, and what it costs the server. */
import { readFileSync } from "node:fs";
import net from "node:net";
import { newClient, newUser } from "./users.ts";

/** Settings of a server that is flooded from loopback while somebody else comes through a proxy. */
export const BEHIND_PROXY = { TRUSTED_PROXIES: "127.0.0.1,::1" };

/** How the well-behaved user arrives: by the header of a proxy on loopback. */
const ELSEWHERE = { "X-Forwarded-For": "192.0.2.1" };

const template = Buffer.from(newUser().base64, "base64");
const MODULUS_AT = 33;
const MODULUS_BYTES = 256;

/** A public key that nobody holds the private key of; it costs nothing to make. */
export function madeUpKey(): string {
  const der = Buffer.from(template);
  const modulus = der.subarray(MODULUS_AT, MODULUS_AT + MODULUS_BYTES);
  crypto.getRandomValues(modulus);
  modulus[0] = 0x80 | (modulus[0] ?? 0);
  modulus[MODULUS_BYTES - 1] = 1 | (modulus[MODULUS_BYTES - 1] ?? 0);
  return der.toString("base64");
}

/** The head of a sync request with a body of some length. */
function headFor(length: number): string {
  return `POST /sync HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;
}

/** A whole sync request, as bytes: a flood of large ones must not be what is slow. */
function requestOf(body: unknown): Buffer {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return Buffer.from(headFor(Buffer.byteLength(text)) + text);
}

/** Many connections at once. One that the server closes is opened again until the flood ends. */
export class Flood {
  /** How many answers of each status have come. */
  readonly statuses = new Map<string, number>();
  /** Connections opened so far. */
  opened = 0;
  readonly #port: number;
  readonly begin: (socket: net.Socket) => void;
  readonly #sockets = new Set<net.Socket>();
  #over = false;

  /** @param begin what is done on each new connection */
  constructor(port: number, connections: number, begin: (socket: net.Socket) => void) {
    this.#port = port;
    this.begin = begin;
    for (let i = 0; i < connections; i++) this.#open();
  }

  /** Connections that are open now. */
  get open(): number {
    return this.#sockets.size;
  }

  end(): void {
    this.#over = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(): void {
    this.opened++;
    const socket = net.connect(this.#port, "localhost");
    this.#sockets.add(socket);
    socket.on("connect", () => this.begin(socket));
    socket.on("data", (data) => {
      for (const [, status = ""] of data.toString("latin1").matchAll(/HTTP\/1\.1 (\d{3})/g)) {
        this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
      }
    });
    // A connection that the server breaks is what some of them are about.
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      if (!this.#over) setImmediate(() => this.#open());
    });
  }
}

/** Sends a request of another user each time, with these members. */
export function newcomers(more: object): (socket: net.Socket) => void {
  return oneAfterTheOther(() => requestOf({ user: madeUpKey(), client_id: newClient(), ...more }));
}

/** Sends a request with this body time and again. */
export function overAndOver(body: string): (socket: net.Socket) => void {
  const request = requestOf(body);
  return oneAfterTheOther(() => request);
}

/** Sends requests one after the other on one connection, each once the one before is answered. */
function oneAfterTheOther(next: () => Buffer): (socket: net.Socket) => void {
  return (socket) => {
    socket.on("data", () => socket.write(next()));
    socket.write(next());
  };
}

/** Sends a part of a body, and then almost nothing. */
export function slowWriter(length: number, part: number): (socket: net.Socket) => void {
  const start = Buffer.from(`${headFor(length)}{"payload":"${"p".repeat(part)}`);
  return (socket) => socket.write(start);
}

/** Asks for all there is of a user, and takes nothing of it. */
export function slowReader(request: unknown): (socket: net.Socket) => void {
  const asked = requestOf(request);
  return (socket) => {
    socket.pause();
    socket.write(asked);
  };
}

/** A user who appends and polls, one request after the other, from a network address of its own. */
export class GoodUser {
  /** How long each answer took, in milliseconds. */
  readonly times: number[] = [];
  readonly #url: URL;
  readonly #headers: Record<string, string>;
  readonly #user = newUser().base64;
  readonly #client = newClient();
  #index = 0;

  constructor(url: string, from: Record<string, string> = ELSEWHERE) {
    this.#url = new URL("/sync", url);
    this.#headers = { "Content-Type": "application/json", ...from };
  }

  /** Appends an operation, and polls. Throws unless both are answered with 200. */
  async sync(): Promise<void> {
    const operation_index = this.#index++;
    const own = { user: this.#user, client_id: this.#client, operation_index };
    await this.#send({ ...own, payload: "sealed" });
    await this.#send(own);
  }

  async #send(body: unknown): Promise<void> {
    const since = performance.now();
    const response = await fetch(this.#url, {
      method: "POST",
      headers: this.#headers,
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (response.status !== 200) throw new Error(`${response.status} ${text}`);
    this.times.push(performance.now() - since);
  }
}

/** The memory of a process right now, and the most it has had, in bytes. */
export function memoryOf(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const kilobytes = (name: string) =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]);
  return { now: kilobytes("VmRSS") * 1024, peak: kilobytes("VmHWM") * 1024 };
}
