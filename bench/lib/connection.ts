/**
 * A keep-alive HTTP/1.1 connection that does as little as can be done: bytes that were prepared go
 * out, and of the answer only the status, the times and the number of bytes are kept. A client of
 * the runtime would take more CPU than a fast server, and the two share the machine.
 */
import { once } from "node:events";
import net from "node:net";

export interface Answer {
  readonly head: string;
  /** Bytes of the body, without the framing of chunks. */
  readonly bytes: number;
  /** By `performance.now()`. */
  readonly sentAt: number;
  readonly firstByteAt: number;
  readonly endedAt: number;
}

/** What is read next: the head, a body of known length, the size of a chunk, a chunk, the end. */
type State = "idle" | "head" | "body" | "size" | "chunk" | "trailer";

const BUFFER_BYTES = 256 * 1024;
/** How much of a refusal is quoted. */
const QUOTED = 500;

export class Connection {
  readonly #url: URL;
  #socket = new net.Socket();
  /** Set when the other side has closed the connection, or has said that it will. */
  #closed = true;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #state: State = "idle";
  #head = "";
  #line = "";
  /** Bytes left of the body, or of the chunk and the line end behind it. */
  #left = 0;
  #bytes = 0;
  #refusal = "";
  #sentAt = 0;
  #firstByteAt = 0;
  #resolve: (answer: Answer) => void = () => undefined;
  #reject: (error: Error) => void = () => undefined;

  private constructor(url: string) {
    this.#url = new URL(url);
  }

  /** Connects to a server, `http://host:port/`. */
  static async open(url: string): Promise<Connection> {
    const connection = new Connection(url);
    await connection.#connect();
    return connection;
  }

  close(): void {
    this.#socket.destroy();
  }

  /**
   * Sends a whole request; one at a time. Connects again where the last answer has ended the
   * connection, which counts as a part of the request. Throws unless it is answered with 200, to the
   * end.
   */
  request(bytes: Uint8Array): Promise<Answer> {
    const sentAt = performance.now();
    if (!this.#closed) return this.#send(bytes, sentAt);
    return this.#connect().then(() => this.#send(bytes, sentAt));
  }

  async #connect(): Promise<void> {
    this.#socket.destroy();
    const socket = net.connect({
      host: this.#url.hostname,
      port: Number(this.#url.port),
      noDelay: true,
      onread: {
        buffer: this.#buffer,
        callback: (length, buffer) => {
          this.#read(Buffer.from(buffer.buffer, buffer.byteOffset, length));
          return true;
        },
      },
    });
    this.#socket = socket;
    const broken = (error?: Error) => {
      if (socket !== this.#socket) return;
      this.#closed = true;
      if (this.#state !== "idle") this.#reject(error ?? new Error("the connection was cut"));
    };
    socket.on("error", broken);
    socket.on("close", () => broken());
    await once(socket, "connect");
    this.#closed = false;
  }

  #send(bytes: Uint8Array, sentAt: number): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#state = "head";
      this.#head = this.#line = this.#refusal = "";
      this.#bytes = this.#firstByteAt = 0;
      this.#sentAt = sentAt;
      this.#socket.write(bytes);
    });
  }

  #read(data: Buffer): void {
    if (this.#firstByteAt === 0) this.#firstByteAt = performance.now();
    let at = 0;
    while (at < data.length && this.#state !== "idle") {
      switch (this.#state) {
        case "head":
          at = this.#readHead(data, at);
          break;
        case "body":
        case "chunk": {
          const take = Math.min(this.#left, data.length - at);
          if (this.#refused) this.#refusal += data.toString("latin1", at, at + take);
          this.#left -= take;
          at += take;
          if (this.#left === 0) this.#state === "body" ? this.#end() : this.#expectLine("size");
          break;
        }
        case "size":
        case "trailer":
          at = this.#readLine(data, at);
      }
    }
  }

  get #refused(): boolean {
    return this.#head.slice(9, 12) !== "200" && this.#refusal.length < QUOTED;
  }

  #readHead(data: Buffer, at: number): number {
    const before = this.#head.length;
    this.#head += data.toString("latin1", at);
    const end = this.#head.indexOf("\r\n\r\n");
    if (end === -1) return data.length;
    const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1];
    this.#head = this.#head.slice(0, end);
    if (length === undefined) this.#expectLine("size");
    else {
      this.#bytes = this.#left = Number(length);
      if (this.#left === 0) this.#end();
      else this.#state = "body";
    }
    return at + end + 4 - before;
  }

  #expectLine(state: "size" | "trailer"): void {
    this.#line = "";
    this.#state = state;
  }

  #readLine(data: Buffer, at: number): number {
    const feed = data.indexOf(10, at);
    this.#line += data.toString("latin1", at, feed === -1 ? data.length : feed);
    if (feed === -1) return data.length;
    const line = this.#line.trimEnd();
    if (this.#state === "trailer") {
      if (line === "") this.#end();
      else this.#expectLine("trailer");
    } else {
      const size = Number.parseInt(line, 16);
      this.#bytes += size;
      // With the line end that follows it.
      this.#left = size + 2;
      if (size === 0) this.#expectLine("trailer");
      else this.#state = "chunk";
    }
    return feed + 1;
  }

  #end(): void {
    this.#state = "idle";
    if (/\r\nconnection: *close/i.test(this.#head)) this.#closed = true;
    if (this.#head.slice(9, 12) !== "200") {
      this.#reject(new Error(`not answered with 200: ${this.#head}\n\n${this.#refusal}`));
      return;
    }
    this.#resolve({
      head: this.#head,
      bytes: this.#bytes,
      sentAt: this.#sentAt,
      firstByteAt: this.#firstByteAt,
      endedAt: performance.now(),
    });
  }
}
