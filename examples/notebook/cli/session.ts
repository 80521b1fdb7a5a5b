/** A client for the time of one command: progress, warnings, and a sync that does not retry. */
import {
  type Created,
  type Cursor,
  type Identity,
  ServerUnavailable,
  type Status,
  type Store,
  type SyncClient,
} from "../../../client/index.ts";
import { type Note, noteData, noteOf } from "../notes.ts";
import type { Device } from "./device.ts";
import { refusalText } from "./format.ts";
import { Progress, printable } from "./terminal.ts";

export interface SessionOptions {
  /** Called with the notes of other devices that are kept here, and then with others as they arrive. */
  readonly onNotes?: (notes: readonly Note[]) => void;
  readonly onStatus?: (status: Status) => void;
  /** Whether news of other devices is shown as it comes. Without, the server is asked by `sync` alone. */
  readonly isLive?: boolean;
}

export class Session {
  readonly #client: SyncClient;
  readonly #store: Store;
  readonly #sending: Progress;
  readonly #receiving: Progress;
  #created = 0;
  /** Each receives every status while a `sync` is running. */
  readonly #syncing = new Set<(status: Status) => void>();

  private constructor(client: SyncClient, store: Store, sending: Progress, receiving: Progress) {
    this.#client = client;
    this.#store = store;
    this.#sending = sending;
    this.#receiving = receiving;
  }

  static async open(
    device: Device,
    identity: Identity,
    { onNotes, onStatus, isLive = false }: SessionOptions = {},
  ): Promise<Session> {
    const sending = new Progress("sent");
    const receiving = new Progress("received");
    let count = 0;
    let session: Session | undefined;
    const store = await device.store(identity);
    const received = await device.received(identity, (await store.load()).own);
    onNotes?.(received.operations.map(noteOf));
    const client = await device.client(identity, store, {
      ...(isLive ? {} : { pollInterval: Infinity }),
      // The store has those of what it received, which may be more than is kept.
      cursors: received.cursors,
      receive: async (operations, cursor) => {
        await received.add(operations, cursor);
        onNotes?.(operations.map(noteOf));
        count += operations.length;
        receiving.show(count);
      },
      onStatus: (status) => {
        if (session !== undefined) session.#show(status);
        onStatus?.(status);
      },
      onRefusal: ({ kind, client, index }) => {
        console.error(
          `Warning: note ${index} of device ${client} was refused: ${refusalText(kind)}`,
        );
        process.exitCode = 1;
      },
    });
    session = new Session(client, store, sending, receiving);
    return session;
  }

  /** The client id of this device. */
  get client(): string {
    return this.#client.client;
  }

  get status(): Status {
    return this.#client.status;
  }

  /** The notes that are too large for the server, and are only on this device. */
  get tooLarge(): readonly Created[] {
    return this.#client.tooLarge;
  }

  /** Writes a note. It is durable on this device once the promise is fulfilled. */
  async write(text: string): Promise<void> {
    await this.#client.append(noteData(text, Date.now()));
    this.#created++;
  }

  /**
   * Resolves once everything is sent and read. Rejects with `ServerRejected`, and where the client
   * would retry, with `ServerUnavailable`.
   *
   * @param isPatient whether it waits if the server asks for that
   */
  async sync({ isPatient = false } = {}): Promise<void> {
    let abandon: (error: ServerUnavailable) => void = () => undefined;
    const abandoned = new Promise<never>((_, reject) => {
      abandon = reject;
    });
    const check = (status: Status) => {
      const isWaiting = status.state === "offline" || (status.state === "pending" && !isPatient);
      if (isWaiting && status.why !== undefined) abandon(new ServerUnavailable(status.why));
    };
    this.#syncing.add(check);
    // If it is abandoned, it ends when the client is closed.
    const synced = this.#client.sync();
    try {
      check(this.status);
      await Promise.race([synced, abandoned]);
    } catch (error) {
      synced.catch(() => undefined);
      throw error;
    } finally {
      this.#syncing.delete(check);
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

  /** How far the notes of each other device were read. */
  async cursors(): Promise<readonly Cursor[]> {
    return (await this.#store.load()).cursors;
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
    for (const check of this.#syncing) check(status);
  }
}
