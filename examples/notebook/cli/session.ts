/** A client for the time of one command: progress, warnings, and a sync that does not retry. */
import {
  type Head,
  type Identity,
  type OperationName,
  type OtherDevice,
  ServerUnavailable,
  type Status,
  StoreDamaged,
  type SyncClient,
} from "../../../client/index.ts";
import { type Note, noteData, noteOf } from "../notes.ts";
import { refusalText } from "../refusal-text.ts";
import type { Device } from "./device.ts";
import { Progress, printable } from "./terminal.ts";

export interface SessionOptions {
  /** Called with the notes of other devices as they arrive. */
  readonly onNotes?: (notes: readonly Note[]) => void;
  readonly onStatus?: (status: Status) => void;
  /** Whether news of other devices is shown as it comes. Without, the server is asked by `sync` alone. */
  readonly isLive?: boolean;
  /** The code of an invite. */
  readonly invite?: string | undefined;
}

/** Notes, by who wrote them. */
export interface Notes {
  /** Of this device. */
  readonly own: Note[];
  /** Of other devices. */
  readonly others: Note[];
}

export class Session {
  readonly #client: SyncClient;
  readonly #sending: Progress;
  readonly #receiving: Progress;
  readonly #device: Device;
  /** Whether the device has nothing yet that any server has. */
  #isNew: boolean;
  #created = 0;
  /** Each receives every status while a `sync` is running. */
  readonly #syncing = new Set<(status: Status) => void>();

  private constructor(
    client: SyncClient,
    device: Device,
    isNew: boolean,
    sending: Progress,
    receiving: Progress,
  ) {
    this.#client = client;
    this.#device = device;
    this.#isNew = isNew;
    this.#sending = sending;
    this.#receiving = receiving;
  }

  static async open(
    device: Device,
    identity: Identity,
    { onNotes, onStatus, isLive = false, invite }: SessionOptions = {},
  ): Promise<Session> {
    const sending = new Progress("sent");
    const receiving = new Progress("received");
    let count = 0;
    let session: Session | undefined;
    const store = await device.store(identity);
    const { own, cursors } = await store.load();
    const isNew = cursors.length === 0 && own.every(({ acknowledged }) => acknowledged === 0);
    const client = await device.client(identity, store, {
      ...(isLive ? {} : { pollInterval: Infinity }),
      ...(invite === undefined ? {} : { invite }),
      receive: (entries, _, isOwn) => {
        if (isOwn) return;
        onNotes?.(entries.map(noteOf));
        count += entries.length;
        receiving.show(count);
      },
      onStatus: (status) => {
        if (session !== undefined) session.#show(status);
        onStatus?.(status);
      },
      onRefusal: (refusal) => {
        console.error(`Warning: ${refusalText(refusal)}`);
        process.exitCode = 1;
      },
    });
    session = new Session(client, device, isNew, sending, receiving);
    return session;
  }

  /** The client id of this device. */
  get client(): string {
    return this.#client.client;
  }

  get status(): Status {
    return this.#client.status;
  }

  /** The operations that are too large for the server, and are only on this device. */
  get tooLarge(): readonly OperationName[] {
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
      await this.#warnOfNothing();
    } catch (error) {
      synced.catch(() => undefined);
      throw error;
    } finally {
      this.#syncing.delete(check);
    }
  }

  /** Says after the first sync of a key from elsewhere that nothing came: it may be the wrong one. */
  async #warnOfNothing(): Promise<void> {
    if (!this.#isNew || !this.#device.isImported) return;
    this.#isNew = false;
    const heads = await this.#client.heads();
    if (this.#client.refusals.length > 0 || heads.some((head) => !this.#client.isOwn(head))) return;
    console.error(
      printable(
        `Warning: no other device has ever stored anything on ${this.#device.server} with this key. If you ` +
          "expect notes here, it is the wrong key or the wrong server: status shows the fingerprint, which is " +
          "the same on all devices of a notebook.",
      ),
    );
  }

  /** The same on all devices that are synced, unless the server withholds something. */
  stateCode(): Promise<string> {
    return this.#client.stateCode();
  }

  /** The other devices of which something came. */
  get devices(): readonly OtherDevice[] {
    return this.#client.devices;
  }

  /** What this device has, to be said with the key. */
  heads(): Promise<readonly Head[]> {
    return this.#client.heads();
  }

  /** The notes that are on this device. Where some cannot be read, asks the server for them. */
  async notes(): Promise<Notes> {
    const { damage, ...notes } = await this.#read();
    if (damage === undefined) return notes;
    // What fails here, the caller has met before, or meets next.
    await this.sync().catch(() => undefined);
    const { damage: left, ...again } = await this.#read();
    if (left !== undefined) {
      console.error(printable(`Warning: ${left.message}. Notes after it may be missing.`));
      process.exitCode = 1;
    }
    return again;
  }

  /** Reads notes up to the first that cannot be read. */
  async #read(): Promise<Notes & { readonly damage?: StoreDamaged }> {
    const [own, others]: [Note[], Note[]] = [[], []];
    try {
      for await (const entries of this.#client.entries()) {
        for (const entry of entries) {
          (this.#client.isOwn(entry) ? own : others).push(noteOf(entry));
        }
      }
      return { own, others };
    } catch (error) {
      if (!(error instanceof StoreDamaged)) throw error;
      return { own, others, damage: error };
    }
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
