/** The log of a one-time key, in which two devices exchange messages. Anyone with the link can read it and write to it. */
import type { Bytes } from "../../protocol/bytes.ts";
import { SyncClient } from "../client.ts";
import { systemClock } from "../clock.ts";
import { ServerRejected } from "../errors.ts";
import type { SyncOptions } from "../options.ts";
import { MemoryStore } from "../stores/memory.ts";
import type { Entry, Identity, Status } from "../types.ts";
import { PairingFailed } from "./errors.ts";
import { type Kind, messageBytes, messageOf } from "./message.ts";

/** After this time a device gives up, so that a link that is seen later does not work. */
const LIMIT_MS = 10 * 60_000;

/** What an app can choose. */
export interface ChannelOptions
  extends Pick<SyncOptions, "fetch" | "clock" | "random" | "idleTimeout" | "pollInterval"> {
  /** Called when the status of the connection changes, to tell a person why it takes time. */
  readonly onStatus?: (status: Status) => void;
  /** Ends the pairing when aborted. */
  readonly signal?: AbortSignal;
}

/** A message that is expected. */
interface Awaited {
  readonly kind: Kind;
  readonly came: Promise<Bytes>;
  readonly resolve: (body: Bytes) => void;
}

/**
 * One end of the log. It accepts the messages of one other device, in their order, each once. Anything else
 * ends the pairing, and so does the time limit.
 */
export class Channel {
  /** Set before anything is received. */
  #client: SyncClient | undefined;
  readonly #identity: Identity;
  readonly #options: ChannelOptions;
  readonly #over = new AbortController();
  readonly #awaited: readonly Awaited[];
  /** How many of them have arrived. */
  #count = 0;
  /** The client id of the other device. */
  #other: string | undefined;
  /** Fulfilled once the log is erased, or left. */
  #ended: Promise<void> | undefined;

  private constructor(identity: Identity, kinds: readonly Kind[], options: ChannelOptions) {
    this.#identity = identity;
    this.#options = options;
    this.#awaited = kinds.map((kind) => {
      let resolve: (body: Bytes) => void = () => undefined;
      const came = new Promise<Bytes>((fulfil) => {
        resolve = fulfil;
      });
      return { kind, came, resolve };
    });
  }

  /**
   * Opens the log of a key.
   *
   * @param kinds the messages that the other device will send, in their order
   */
  static async open(
    identity: Identity,
    url: string | URL,
    kinds: readonly Kind[],
    options: ChannelOptions,
  ): Promise<Channel> {
    const channel = new Channel(identity, kinds, options);
    await channel.#open(url);
    return channel;
  }

  async #open(url: string | URL): Promise<void> {
    const { onStatus, signal, clock = systemClock, ...options } = this.#options;
    this.#client = await SyncClient.open({
      ...{ ...options, clock, url, identity: this.#identity, store: new MemoryStore() },
      receive: (entries, _, isOwn) => {
        if (!isOwn) for (const entry of entries) this.#take(entry);
      },
      onRefusal: () => this.fail(new PairingFailed("altered")),
      onStatus: (status) => {
        onStatus?.(status);
        if (status.state !== "refused") return;
        if (status.code === "erased") this.fail(new PairingFailed("ended"), false);
        else this.fail(new PairingFailed("refused", { why: status.why }));
      },
    });
    const onAbort = () => this.fail(signal?.reason);
    signal?.addEventListener("abort", onAbort);
    if (signal?.aborted) onAbort();
    this.#over.signal.addEventListener("abort", () =>
      signal?.removeEventListener("abort", onAbort),
    );
    const until = clock.now() + LIMIT_MS;
    const expire = async () => {
      while (clock.now() < until && !this.#over.signal.aborted) {
        await clock.sleep(until - clock.now(), this.#over.signal);
      }
      this.fail(new PairingFailed("expired"));
    };
    void expire();
  }

  /** Aborted once the pairing is over. */
  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Whether another device has written anything. */
  get isUsed(): boolean {
    return this.#other !== undefined;
  }

  /** The body of an expected message. Rejects with what has ended the pairing. */
  next(kind: Kind): Promise<Bytes> {
    const awaited = this.#awaited.find((one) => one.kind === kind);
    return awaited === undefined ? this.#failed() : this.#orFailed(awaited.came);
  }

  /** Writes a message, and resolves once the server has it and everything there was received. Rejects as `next`. */
  async send(kind: Kind, body: Bytes): Promise<void> {
    this.#over.signal.throwIfAborted();
    await this.#orFailed(this.#client?.append(messageBytes({ kind, body })));
    await this.sync();
  }

  /** Resolves once everything on the server was received. Rejects as `next`. */
  async sync(): Promise<void> {
    await this.#orFailed(this.#client?.sync(this.#over.signal));
    this.#over.signal.throwIfAborted();
  }

  /** Ends the pairing for a reason, and erases the log unless that is done. The first reason counts. */
  fail(reason: unknown, erases = true): void {
    if (this.#over.signal.aborted) return;
    // `end` reports it.
    this.#end(reason, erases).catch(() => undefined);
  }

  /**
   * Ends the pairing. Resolves once the log is erased, or left; rejects with `ServerRejected` or
   * `ServerUnavailable` if it could not be erased.
   *
   * @param erases whether this device erases it
   */
  end(erases = true): Promise<void> {
    return this.#ended ?? this.#end(new PairingFailed("ended"), erases);
  }

  #end(reason: unknown, erases: boolean): Promise<void> {
    this.#over.abort(reason);
    this.#ended = this.#leave(erases);
    return this.#ended;
  }

  async #leave(erases: boolean): Promise<void> {
    const client = this.#client;
    try {
      if (erases) await client?.erase(new AbortController().signal);
    } catch (error) {
      if (!isGone(error)) throw error;
    } finally {
      await client?.close();
    }
  }

  #take({ client, data }: Entry): void {
    this.#other ??= client;
    const message = messageOf(data);
    const awaited = this.#awaited[this.#count];
    if (client !== this.#other) this.fail(new PairingFailed("stranger"));
    else if (message === undefined || message.kind !== awaited?.kind) {
      this.fail(new PairingFailed(message?.kind === "answer" ? "stranger" : "altered"));
    } else {
      this.#count++;
      awaited.resolve(message.body);
    }
  }

  /** The result of a step, unless the pairing ends first. */
  async #orFailed<Value>(begun: Promise<Value> | undefined): Promise<Value> {
    if (begun === undefined) throw new TypeError("the channel is not open");
    // Once the pairing has ended for another reason, nobody waits for it.
    begun.catch(() => undefined);
    return Promise.race([begun, this.#failed()]);
  }

  #failed(): Promise<never> {
    const { signal } = this.#over;
    return new Promise((_, reject) => {
      if (signal.aborted) return reject(signal.reason);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }
}

/** Whether a client has nothing left to erase: the server itself erases a guest whose time is over. */
export function isGone(error: unknown): boolean {
  return error instanceof ServerRejected && error.code === "user-not-allowed";
}
