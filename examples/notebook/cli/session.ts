/** A client at work for one command. */

import {
  type Identity,
  ServerUnavailable,
  type Status,
  type SyncClient,
} from "../../../client/index.ts";
import { type Note, noteData, noteOf } from "../notes.ts";
import type { Device } from "./device.ts";
import { printable } from "./output.ts";
import { Progress } from "./progress.ts";

export interface SessionOptions {
  /** Told of each arrival of notes of other devices. */
  readonly onNotes?: (notes: readonly Note[]) => void;
  readonly onStatus?: (status: Status) => void;
  readonly pollInterval?: number;
}

export class Session {
  readonly #client: SyncClient;
  readonly #sending: Progress;
  readonly #receiving: Progress;
  #created = 0;
  /** Ends a wait for the server, once that cannot be reached. */
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
        if (session !== undefined) session.#note(status);
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

  /** Writes a note; it is durable on this device when it returns. */
  async write(text: string): Promise<void> {
    await this.#client.append(noteData(text, Date.now()));
    this.#created++;
  }

  /**
   * Resolves once everything is sent and read. Throws `ServerUnavailable` where the server cannot be
   * reached, and what it refuses.
   */
  async sync(): Promise<void> {
    const { status } = this.#client;
    if (status.state === "offline") throw new ServerUnavailable(status.why);
    let give: (error: ServerUnavailable) => void = () => undefined;
    const offline = new Promise<never>((_, reject) => {
      give = reject;
    });
    this.#onOffline.add(give);
    // Left behind when the server cannot be reached, it ends with the client.
    const synced = this.#client.sync();
    try {
      await Promise.race([synced, offline]);
    } catch (error) {
      synced.catch(() => undefined);
      throw error;
    } finally {
      this.#onOffline.delete(give);
    }
  }

  /** The notes that were written on this device. */
  async own(): Promise<Note[]> {
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

  #note(status: Status): void {
    this.#sending.show(this.#created - status.pending, this.#created);
    if (status.state === "pending" && status.why !== undefined) {
      console.error(printable(`(waiting: ${status.why})`));
    }
    if (status.state !== "offline") return;
    for (const give of this.#onOffline) give(new ServerUnavailable(status.why));
  }
}
