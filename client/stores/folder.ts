import { lstat, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Line } from "../../protocol/types.ts";
import { StoreDamaged } from "../errors.ts";
import { SerialQueue } from "../serial-queue.ts";
import type { Cursor, Identity } from "../types.ts";
import { SlotContents } from "./folder-contents.ts";
import { syncFolder } from "./folder-files.ts";
import { FolderLock, type HeldFolder, warnHeld } from "./folder-lock.ts";
import { type FolderDamage, warnDamaged } from "./folder-repair.ts";
import { OtherVersion } from "./folder-state.ts";
import type { Move, Place, Received, Store, StoreState } from "./store.ts";

/** How a folder store tells the app what happened to it. */
export interface FolderOptions {
  /**
   * Called when a slot is damaged: a copy of it is kept, and what can be read of it is sent again.
   * Operations of other installations are delivered again. A repair that a crash cuts short is
   * reported once more. By default, warns on the console.
   */
  readonly onDamaged?: (damage: FolderDamage) => void;
  /**
   * Called by `open` for a slot whose lock may be that of a process that has ended, and may not: what
   * it left unsent is taken over when that is known. By default, warns on the console.
   */
  readonly onHeld?: (held: HeldFolder) => void;
}

/**
 * Stores an installation in a folder, for Node, Bun and Deno:
 *
 *     FOLDER/FINGERPRINT/0/state.json        client ids, acknowledgements, cursors
 *     FOLDER/FINGERPRINT/0/UUID.changes      what has changed since, one change a line
 *     FOLDER/FINGERPRINT/0/CLIENT_ID.log     own operations, one payload a line
 *     FOLDER/FINGERPRINT/0/CLIENT_ID.drafts  entries that wait for the next operation
 *     FOLDER/FINGERPRINT/0/CLIENT_ID.received  operations of another installation
 *     FOLDER/FINGERPRINT/0/UUID.snapshot     the snapshot from which they go on
 *     FOLDER/FINGERPRINT/1/…                 the same for a second process at the same time
 *
 * `state.json` is replaced by a rename, and the list of changes and logs are append-only; they are
 * synced to the disk before a method returns. What is received is in the list of changes as well, until
 * the state is saved: so it survives a crash before its own file is synced.
 */
export class FolderStore implements Store {
  readonly #place: string;
  readonly #folder: string;
  readonly #lock: FolderLock;
  readonly #contents: SlotContents;
  /** One change at a time, so that none is lost. */
  readonly #queue = new SerialQueue();
  readonly #options: Required<FolderOptions>;
  #isClosed = false;
  /** Slots that were reported. */
  readonly #leftAlone = new Set<string>();

  private constructor(
    place: string,
    slot: number,
    lock: FolderLock,
    options: Required<FolderOptions>,
  ) {
    this.#options = options;
    this.#place = place;
    this.#folder = join(place, String(slot));
    this.#lock = lock;
    this.#contents = new SlotContents(this.#folder);
  }

  /**
   * Opens the first store of a user in a folder that no other process has open, and creates it if
   * there is none. Throws the errors of the file system, and `StoreDamaged` for a slot that newer
   * software wrote or that is a link.
   *
   * @param folder created if it does not exist; several users may share it
   */
  static async open(
    folder: string,
    { fingerprint }: Pick<Identity, "fingerprint">,
    { onDamaged = warnDamaged, onHeld = warnHeld }: FolderOptions = {},
  ): Promise<FolderStore> {
    const place = join(folder, fingerprint);
    for (let slot = 0; ; slot++) {
      const store = await FolderStore.#openSlot(place, slot, { onDamaged, onHeld });
      if (store !== undefined) return store;
    }
  }

  static async #openSlot(
    place: string,
    slot: number,
    options: Required<FolderOptions>,
  ): Promise<FolderStore | undefined> {
    const folder = join(place, String(slot));
    const made = await mkdir(folder, { recursive: true, mode: 0o700 });
    // What a link leads to belongs to something else, and opening deletes what was never finished.
    if ((await lstat(folder)).isSymbolicLink()) throw new StoreDamaged(`${folder} is a link`);
    const lock = await FolderLock.acquire(folder, options.onHeld);
    if (lock === undefined) return undefined;
    const store = new FolderStore(place, slot, lock, options);
    try {
      if (!(await syncFolder(place)) && made !== undefined) {
        console.warn(
          `The file system of ${folder} cannot sync folders: the newest operations can be lost when ` +
            "the power fails.",
        );
      }
      await store.#read();
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** Reads the slot. Where anything of it is damaged, keeps a copy, and goes on with the rest. */
  async #read(): Promise<void> {
    try {
      await this.#contents.recover();
    } catch (error) {
      if (!(error instanceof StoreDamaged) || error instanceof OtherVersion) throw error;
      const { message: reason } = error;
      await this.#contents.repair((folder, operations) => {
        this.#options.onDamaged({ reason, folder, operations });
      });
    }
  }

  load(): Promise<StoreState> {
    return this.#run((contents) => contents.load());
  }

  begin(client: string): Promise<void> {
    return this.#change((contents) => contents.begin(client));
  }

  append(client: string, first: number, payloads: readonly string[]): Promise<void> {
    return this.#change((contents) => contents.append(client, first, payloads));
  }

  appendDraft(client: string, index: number, payload: string): Promise<void> {
    return this.#change((contents) => contents.appendDraft(client, index, payload));
  }

  read(client: string, first: number, count: number, bytes: number): Promise<string[]> {
    return this.#run((contents) => contents.read(client, first, count, bytes));
  }

  acknowledge(client: string, acknowledged: number, delivered?: Place): Promise<void> {
    return this.#change((contents) => contents.acknowledge(client, acknowledged, delivered));
  }

  receive(cursor: Cursor, payloads: readonly string[]): Promise<void> {
    return this.#change((contents) => contents.receive(cursor, payloads));
  }

  readReceived(client: string, first: number, characters: number): Promise<Received> {
    return this.#run((contents) => contents.readReceived(client, first, characters));
  }

  forget(client: string, start: Cursor | undefined): Promise<void> {
    return this.#change((contents) => contents.forget(client, start));
  }

  keepSnapshot(snapshot: Line | undefined, isLoaded: boolean): Promise<void> {
    return this.#change((contents) => contents.keepSnapshot(snapshot, isLoaded));
  }

  snapshotLoaded(): Promise<void> {
    return this.#change((contents) => contents.snapshotLoaded());
  }

  readSnapshot(): Promise<string | undefined> {
    return this.#run((contents) => contents.readSnapshot());
  }

  move(move: Move): Promise<void> {
    return this.#change((contents) => contents.move(move));
  }

  cut(client: string, length: number): Promise<void> {
    return this.#change((contents) => contents.cut(client, length));
  }

  async abandoned(): Promise<Store[]> {
    // This is asked again and again: `open` has reported those that are held.
    const options = { ...this.#options, onHeld: () => undefined };
    const stores: Store[] = [];
    try {
      for (const name of await readdir(this.#place)) {
        if (!/^\d+$/.test(name) || join(this.#place, name) === this.#folder) continue;
        const store = await FolderStore.#openSlot(this.#place, Number(name), options).catch(
          (error: unknown) => this.#leaveAlone(name, error),
        );
        if (store === undefined) continue;
        const { own, drafts } = await store.load();
        const isUnsent = own.some(({ length, acknowledged }) => acknowledged < length);
        const pending = isUnsent || drafts.length > 0;
        if (pending) stores.push(store);
        else await store.close();
      }
      return stores;
    } catch (error) {
      for (const store of stores) await store.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    // Where that fails, all that counts is in the list of changes.
    await this.#change((contents) => contents.settle()).catch(() => undefined);
    await this.#queue.run(async () => {
      this.#isClosed = true;
      await this.#contents.close();
      await this.#lock.release();
    });
  }

  /** Another slot that may not be opened, as one of newer software, keeps no other from being sent. */
  #leaveAlone(slot: string, error: unknown): undefined {
    if (!(error instanceof StoreDamaged)) throw error;
    if (!this.#leftAlone.has(slot)) console.warn(`${error.message}: it is left as it is.`);
    this.#leftAlone.add(slot);
  }

  #change(change: (contents: SlotContents) => Promise<void>): Promise<void> {
    return this.#run(async (contents) => {
      await this.#lock.check();
      await contents.settleLeft();
      await change(contents);
    });
  }

  #run<Result>(task: (contents: SlotContents) => Promise<Result>): Promise<Result> {
    return this.#queue.run(() => {
      if (this.#isClosed) throw new Error(`the store in ${this.#folder} is closed: open it again`);
      return task(this.#contents);
    });
  }
}
