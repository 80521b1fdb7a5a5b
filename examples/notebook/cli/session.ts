/** A client for the time of one command: progress, warnings, and a sync that ends when offline. */
import {
  type Identity,
  ServerUnavailable,
  type Status,
  type SyncClient,
} from "../../../client/index.ts";
import { type Note, noteData, noteOf } from "../notes.ts";
import type { Device } from "./device.ts";
import { Progress, printable } from "./terminal.ts";

export interface SessionOptions {
  /** Called with notes of other devices as they arrive. */
  readonly onNotes?: (notes: readonly Note[]) => void;
  readonly onStatus?: (status: Status) => void;
  readonly pollInterval?: number;
}

export class Session {
  readonly #client: SyncClient;
  readonly #sending: Progress;
  readonly #receiving: Progress;
  #created = 0;
  /** Each rejects a `sync` that is running. */
  readonly #onOffline = new Set<(error: ServerUnavailable) => void>();

  private constructor(client: SyncClient, sending: Progress, receiving: Progress) {
    this.#client = client;
    this.#sending = sending;
    this.#receiving = receiving;
  }

  static async open(
    device: Device,
    identity: Identity,
    { onNotes, onStatus, ...options }: SessionOptions = {},
  ): Promise<Session> {
    const sending = new Progress("sent");
    const receiving = new Progress("received");
    let received = 0;
    let session: Session | undefined;
    const client = await device.client(identity, {
      ...options,
      receive: (operations) => {
        onNotes?.(operations.map(noteOf));
        received += operations.length;
        if (onNotes !== undefined) receiving.show(received);
      },
      onStatus: (status) => {
        if (session !== undefined) session.#show(status);
        onStatus?.(status);
      },
      onRefusal: ({ kind, client, index }) => {
        console.error(`Warning: note ${index} of device ${client} was refused: ${kind}`);
      },
    });
    session = new Session(client, sending, receiving);
    return session;
  }

  /** The client id of this device. */
  get client(): string {
    return this.#client.client;
  }

  get status(): Status {
    return this.#client.status;
  }

  /** Writes a note. It is durable on this device once the promise is fulfilled. */
  async write(text: string): Promise<void> {
    await this.#client.append(noteData(text, Date.now()));
    this.#created++;
  }

  /**
   * Resolves once everything is sent and read. Rejects with `ServerUnavailable` as soon as the server
   * cannot be reached, where the client would retry, and with `ServerRejected`.
   */
  async sync(): Promise<void> {
    const { status } = this.#client;
    if (status.state === "offline") throw new ServerUnavailable(status.why);
    let abandon: (error: ServerUnavailable) => void = () => undefined;
    const offline = new Promise<never>((_, reject) => {
      abandon = reject;
    });
    this.#onOffline.add(abandon);
    // If it is abandoned, it ends when the client is closed.
    const synced = this.#client.sync();
    try {
      await Promise.race([synced, offline]);
    } catch (error) {
      synced.catch(() => undefined);
      throw error;
    } finally {
      this.#onOffline.delete(abandon);
    }
  }

  /** The notes written on this device. */
  async ownNotes(): Promise<Note[]> {
    const notes: Note[] = [];
    for await (const operations of this.#client.operations()) {
      for (const operation of operations) notes.push(noteOf(operation));
    }
    return notes;
  }

  async close(): Promise<void> {
    this.#sending.end();
    this.#receiving.end();
    await this.#client.close();
  }

  #show(status: Status): void {
    this.#sending.show(this.#created - status.pending, this.#created);
    if (status.state === "pending" && status.why !== undefined) {
      console.error(printable(`(waiting: ${status.why})`));
    }
    if (status.state !== "offline") return;
    for (const abandon of this.#onOffline) abandon(new ServerUnavailable(status.why));
  }
}
