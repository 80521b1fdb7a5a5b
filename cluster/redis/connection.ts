import type { Script } from "./scripts.ts";

/** The part of the client that is used here. */
interface Client {
  readonly isReady: boolean;
  sendCommand(command: readonly string[]): Promise<unknown>;
  destroy(): void;
}

/** What Redis replies to a script: texts, or a list of them. */
export type Reply = readonly string[];

export interface ConnectionOptions {
  readonly url: string;
  /** How long a reply may take, in milliseconds: a request waits no longer, and goes on without. */
  readonly replyWithin: number;
  /** Called with each message of a channel, before any later reply. */
  readonly onMessage: (message: string) => void;
  /** Called when a connection is there, with its number. One for which it resolves to false is ended. */
  readonly onConnect: (serial: number) => Promise<boolean>;
  /** Called when it is lost, or cannot be made, with the reason. */
  readonly onLost: (reason: string) => void;
  readonly channel: string;
}

/** How long a reply may take, in milliseconds, unless a test says otherwise. */
export const REPLY_WITHIN_MS = 250;

/** How often replies are looked for. */
const TICK_MS = 50;

const CONNECT_WITHIN_MS = 2000;

/** Pauses between two attempts to connect, in milliseconds: doubled each time, with jitter. */
const SHORTEST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 2000;

/**
 * One connection to Redis, made again whenever it is lost. A command that fails, or whose reply is late,
 * ends it: nobody can know what has become of the commands on it. Messages and replies share it (RESP3),
 * so that a reply comes after every message that was published before.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  #client: Client | undefined;
  /** When each command was sent whose reply is missing, in that order: replies come in the same. */
  #sent: number[] = [];
  /** How many connections there have been. */
  #serial = 0;
  #closed = false;
  #pause = SHORTEST_PAUSE_MS;
  /** Since when the connection has served. */
  #since = Number.POSITIVE_INFINITY;
  #timer: ReturnType<typeof setInterval> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** The number of the connection; another one after each loss. */
  get serial(): number {
    return this.#serial;
  }

  /** Begins to connect, once, and again whenever the connection is lost. */
  async connect(): Promise<void> {
    if (this.#closed) return;
    const serial = ++this.#serial;
    const { url, channel, onMessage, onConnect } = this.#options;
    try {
      const { createClient } = await import("@redis/client");
      if (serial !== this.#serial) return;
      const client = createClient({
        url,
        RESP: 3,
        socket: { reconnectStrategy: false, connectTimeout: CONNECT_WITHIN_MS },
        disableOfflineQueue: true,
        // Otherwise each command gets a timer.
        commandOptions: { timeout: 0 },
        // Otherwise the client may move to another server by itself, and what is published meanwhile is lost.
        maintNotifications: "disabled",
      });
      this.#client = client;
      // Without a listener, an error would end the process.
      client.on("error", (error: unknown) => this.#lose(serial, reasonOf(error)));
      client.on("end", () => this.#lose(serial, "the connection was closed"));
      // What ends while its socket is being opened has none yet that could be closed.
      client.on("connect", () => {
        if (serial !== this.#serial) client.destroy();
      });
      await within(CONNECT_WITHIN_MS, client.connect());
      if (serial !== this.#serial) return;
      this.#timer = setInterval(() => this.#look(serial), TICK_MS);
      this.#timer.unref();
      await within(
        CONNECT_WITHIN_MS,
        client.subscribe(channel, (message) => {
          if (serial === this.#serial) onMessage(message);
        }),
      );
      if (await onConnect(serial)) this.#since = performance.now();
      else this.#lose(serial, "it does not answer");
    } catch (error) {
      this.#lose(serial, reasonOf(error));
    }
  }

  /**
   * Runs a script. Resolves to `undefined` where the connection is down, or goes down meanwhile.
   *
   * @param serial the connection that the command is meant for
   */
  async run(
    { sha1, source }: Script,
    keys: readonly string[],
    values: readonly string[],
    serial = this.#serial,
  ): Promise<Reply | undefined> {
    const rest = [String(keys.length), ...keys, ...values];
    try {
      return listOf(await this.#send(serial, ["EVALSHA", sha1, ...rest]));
    } catch (error) {
      if (error instanceof Lost) return undefined;
      if (!reasonOf(error).startsWith("NOSCRIPT")) {
        this.#lose(serial, reasonOf(error));
        return undefined;
      }
    }
    try {
      return listOf(await this.#send(serial, ["EVAL", source, ...rest]));
    } catch (error) {
      this.#lose(serial, reasonOf(error));
      return undefined;
    }
  }

  /** Ends the connection, once what has been received is processed, and makes another. */
  renew(reason: string): void {
    const serial = this.#serial;
    queueMicrotask(() => this.#lose(serial, reason));
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#lose(this.#serial, "it was closed");
  }

  async #send(serial: number, command: readonly string[]): Promise<unknown> {
    const client = this.#client;
    if (serial !== this.#serial || client?.isReady !== true) throw new Lost();
    this.#sent.push(performance.now());
    try {
      const reply = await client.sendCommand(command);
      // What comes after the connection was given up counts no more.
      if (serial !== this.#serial) throw new Lost();
      return reply;
    } finally {
      if (serial === this.#serial) this.#sent.shift();
    }
  }

  /** Gives the connection up where a reply is late. */
  #look(serial: number): void {
    if (!this.#isLate()) return;
    // The process may have been busy, and the reply may be there to be read: it has one more turn.
    setImmediate(() =>
      setTimeout(() => {
        if (this.#isLate())
          this.#lose(serial, `it did not answer within ${this.#options.replyWithin} ms`);
      }, 0),
    );
  }

  #isLate(): boolean {
    const [oldest] = this.#sent;
    return oldest !== undefined && performance.now() - oldest > this.#options.replyWithin;
  }

  /** Ends a connection, and makes another after a pause. */
  #lose(serial: number, reason: string): void {
    if (serial !== this.#serial) return;
    this.#serial++;
    this.#sent = [];
    clearInterval(this.#timer);
    const client = this.#client;
    this.#client = undefined;
    // Rejects what waits for a reply.
    client?.destroy();
    if (this.#closed) return;
    this.#options.onLost(reason);
    // Not after one that served for a moment: what has ended it may be there again at once.
    if (performance.now() - this.#since > LONGEST_PAUSE_MS) this.#pause = SHORTEST_PAUSE_MS;
    this.#since = Number.POSITIVE_INFINITY;
    this.#retry = setTimeout(() => void this.connect(), this.#pause * (0.5 + Math.random()));
    this.#retry.unref();
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE_MS);
  }
}

/** The connection that a command was meant for is there no more. */
class Lost extends Error {}

function listOf(reply: unknown): Reply {
  if (!Array.isArray(reply))
    throw new TypeError("Redis has replied with something else than a list");
  return reply.map(String);
}

/**
 * The message of an error, without what a server repeats of a command that it does not know: HELLO has
 * the password in it.
 */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reasonOf).join("; ");
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/,? with args beginning with.*/s, "");
}

/** Rejects where a promise takes longer. */
async function within<Result>(milliseconds: number, promise: Promise<Result>): Promise<Result> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no answer within ${milliseconds} ms`)),
      milliseconds,
    );
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
