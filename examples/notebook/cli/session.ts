/** A notebook for the time of one command: progress, warnings, and a sync that does not retry. */
import { DocumentError } from "../../../client/documents.ts";
import {
  type Head,
  type Identity,
  type OperationName,
  type OtherDevice,
  ServerUnavailable,
  type Status,
  StoreDamaged,
} from "../../../client/index.ts";
import type { Notebook } from "../notebook.ts";
import type { Note } from "../notes.ts";
import { refusalText } from "../refusal-text.ts";
import type { Device } from "./device.ts";
import { Progress, printable } from "./terminal.ts";

export interface SessionOptions {
  /** Called with notes that have come from other devices, or changed there. */
  readonly onNotes?: (names: readonly string[]) => void;
  readonly onStatus?: (status: Status) => void;
  /** Whether news of other devices is shown as it comes. Without, the server is asked by `sync` alone. */
  readonly isLive?: boolean;
  /** The code of an invite. */
  readonly invite?: string | undefined;
}

export class Session {
  readonly notebook: Notebook;
  readonly #sending: Progress;
  readonly #receiving: Progress;
  readonly #device: Device;
  /** Whether the device has nothing yet that any server has. */
  #isNew: boolean;
  /** Notes that were written or changed. */
  readonly #changed = new Set<string>();
  /** Whether the last `sync` failed. */
  #hasFailed = false;
  /** Whether something could not be stored, for which the command fails. */
  isUnstored = false;
  /** Each receives every status while a `sync` is running. */
  readonly #syncing = new Set<(status: Status) => void>();

  private constructor(
    notebook: Notebook,
    device: Device,
    isNew: boolean,
    sending: Progress,
    receiving: Progress,
  ) {
    this.notebook = notebook;
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
    const notebook = await device.notebook(identity, store, {
      ...(isLive ? {} : { pollInterval: Infinity }),
      ...(invite === undefined ? {} : { invite }),
      onNotes: (names, isOwn) => {
        // What is on this device already comes first.
        if (isOwn || session?.notebook.documents.isLoaded !== true) return;
        onNotes?.(names);
        count += names.length;
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
      onError: (error) => {
        if (session?.isUnstored) return;
        console.error(printable(`Warning: ${messageOf(error)}`));
        process.exitCode = 1;
      },
    });
    session = new Session(notebook, device, isNew, sending, receiving);
    return session;
  }

  /** The client id of this device. */
  get client(): string {
    return this.notebook.client.client;
  }

  get status(): Status {
    return this.notebook.status;
  }

  /** The operations that are too large for the server, and are only on this device. */
  get tooLarge(): readonly OperationName[] {
    return this.notebook.client.tooLarge;
  }

  /** Writes a note. It is durable on this device once the promise is fulfilled. */
  async write(text: string): Promise<void> {
    const { name } = await this.#storing(() => this.notebook.write(text));
    this.#changed.add(name);
  }

  /** Changes a note. The change is durable on this device once the promise is fulfilled. */
  async change({ name }: Note, work: (name: string) => Promise<void>): Promise<void> {
    await this.#storing(() => work(name));
    this.#changed.add(name);
  }

  async #storing<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      this.isUnstored = true;
      throw error;
    }
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
    this.#hasFailed = false;
    // If it is abandoned, it ends when the client is closed.
    const synced = this.notebook.client.sync();
    try {
      check(this.status);
      await Promise.race([synced, abandoned]);
      await this.#warnOfNothing();
    } catch (error) {
      this.#hasFailed = true;
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
    const { client } = this.notebook;
    const heads = await client.heads();
    if (client.refusals.length > 0 || heads.some((head) => !client.isOwn(head))) return;
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
    return this.notebook.client.stateCode();
  }

  /** The other devices of which something came. */
  get devices(): readonly OtherDevice[] {
    return this.notebook.client.devices;
  }

  /** What this device has, to be said with the key. */
  heads(): Promise<readonly Head[]> {
    return this.notebook.client.heads();
  }

  /** The notes that are on this device, oldest first. Says where some cannot be read. */
  async notes(): Promise<Note[]> {
    if (this.#hasFailed) await this.#warnOfDamage();
    return [...this.notebook.oldestFirst()];
  }

  /** What is damaged here comes from the server, unless that is out of reach. */
  async #warnOfDamage(): Promise<void> {
    try {
      // Reading is all that is wanted.
      for await (const entries of this.notebook.client.entries()) void entries;
    } catch (error) {
      if (!(error instanceof StoreDamaged)) throw error;
      console.error(printable(`Warning: ${error.message}. Notes after it may be missing.`));
      process.exitCode = 1;
    }
  }

  async close(): Promise<void> {
    this.#sending.end();
    this.#receiving.end();
    try {
      await this.notebook.close();
    } catch (error) {
      // It was reported when it was to be stored.
      if (!(this.isUnstored && error instanceof DocumentError)) throw error;
    }
  }

  #show(status: Status): void {
    const { size } = this.#changed;
    this.#sending.show(size - status.pending, size);
    if (status.state === "pending" && status.why !== undefined) {
      console.error(printable(`(waiting: ${status.why})`));
    }
    for (const check of this.#syncing) check(status);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
