/**
 * A keep-alive HTTP/1.1 connection that does as little as possible: it sends prepared bytes, and
 * keeps only the head, the times and the number of bytes of a response. The HTTP client of the
 * runtime would take more CPU than a fast server, and the two share the machine.
 */
import { once } from "node:events";
import net from "node:net";

export interface TimedResponse {
  readonly head: string;
  /** Bytes of the body, without the framing of chunks. */
  readonly bytes: number;
  /** By `performance.now()`. */
  readonly sentAt: number;
  readonly firstByteAt: number;
  readonly endedAt: number;
}

/** The part of the response that comes next: "size" and "chunk" alternate in a chunked body. */
type State = "idle" | "head" | "body" | "size" | "chunk" | "trailer";

const BUFFER_BYTES = 256 * 1024;
/** How much of an error response is quoted. */
const QUOTED_CHARACTERS = 500;

export class Connection {
  readonly #url: URL;
  #socket = new net.Socket();
  /** Whether the server has closed the connection, or has announced that it will. */
  #closed = true;
  readonly #buffer = Buffer.allocUnsafe(BUFFER_BYTES);
  #state: State = "idle";
  #head = "";
  #line = "";
  /** Remaining bytes of the body, or of the chunk and its line end. */
  #left = 0;
  #bytes = 0;
  #errorBody = "";
  #sentAt = 0;
  #firstByteAt = 0;
  #resolve: (response: TimedResponse) => void = () => undefined;
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
   * Sends a whole request; one at a time. Reconnects if the last response ended the connection; the
   * time for that is part of the request. Throws unless a complete response with 200 arrives.
   */
  request(bytes: Uint8Array): Promise<TimedResponse> {
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
      if (this.#state !== "idle")
        this.#reject(
          error ?? new Error("the connection was closed before the response was complete"),
        );
    };
    socket.on("error", broken);
    socket.on("close", () => broken());
    await once(socket, "connect");
    this.#closed = false;
  }

  #send(bytes: Uint8Array, sentAt: number): Promise<TimedResponse> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
      this.#state = "head";
      this.#head = this.#line = this.#errorBody = "";
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
          if (this.#quoted) this.#errorBody += data.toString("latin1", at, at + take);
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

  get #quoted(): boolean {
    return this.#head.slice(9, 12) !== "200" && this.#errorBody.length < QUOTED_CHARACTERS;
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
      this.#reject(new Error(`the response is not 200: ${this.#head}\n\n${this.#errorBody}`));
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
