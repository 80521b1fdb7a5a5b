import { lstat, mkdir, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { StoreDamaged } from "../errors.ts";
import { SerialQueue } from "../serial-queue.ts";
import type { Cursor, Identity } from "../types.ts";
import { DraftFile } from "./folder-drafts.ts";
import { replaceFile, syncFolder } from "./folder-files.ts";
import { FolderLock, type HeldFolder, warnHeld } from "./folder-lock.ts";
import { LogFile } from "./folder-log.ts";
import { ReceivedFiles } from "./folder-received.ts";
import { type FolderDamage, keepCopy, readableState, warnDamaged } from "./folder-repair.ts";
import {
  clientsWithDrafts,
  draftsPath,
  finishLogs,
  logPath,
  removeLeftovers,
  unfinishedPath,
} from "./folder-slot.ts";
import {
  EMPTY,
  OtherVersion,
  type ReceivedState,
  readState,
  STATE_FILE,
  type State,
  withAcknowledged,
  withCut,
  withMove,
  withReceived,
} from "./folder-state.ts";
import type { Move, OwnClient, Received, Store, StoreState } from "./store.ts";

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
 *     FOLDER/FINGERPRINT/0/CLIENT_ID.log     own operations, one payload a line
 *     FOLDER/FINGERPRINT/0/CLIENT_ID.drafts  entries that wait for the next operation
 *     FOLDER/FINGERPRINT/0/CLIENT_ID.received  operations of another installation
 *     FOLDER/FINGERPRINT/1/…                 the same for a second process at the same time
 *
 * `state.json` is replaced by a rename and logs are append-only; both are synced to the disk before
 * a method returns.
 */
export class FolderStore implements Store {
  readonly #place: string;
  readonly #folder: string;
  readonly #lock: FolderLock;
  readonly #logs = new Map<string, LogFile>();
  readonly #files: ReceivedFiles;
  /** Of the client id in use, once it has had some. */
  #drafts: DraftFile | undefined;
  #state: State = EMPTY;
  /** One change at a time, so that none is lost. */
  readonly #queue = new SerialQueue();

  readonly #options: Required<FolderOptions>;
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
    this.#files = new ReceivedFiles(this.#folder);
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
      await this.#recover();
    } catch (error) {
      if (!(error instanceof StoreDamaged) || error instanceof OtherVersion) throw error;
      await this.#repair(error.message);
    }
  }

  /**
   * The slot counts as damaged until its new state is saved. So a crash before has it copied,
   * reported, and repaired again.
   */
  async #repair(reason: string): Promise<void> {
    await this.#closeLogs();
    const fresh = crypto.randomUUID();
    const folder = await keepCopy(this.#folder);
    const state = await readableState(this.#folder, this.#state.own, fresh);
    const operations = state.own.reduce((sum, { length = 0 }) => sum + length, 0);
    this.#options.onDamaged({ reason, folder, operations });
    await (await LogFile.open(logPath(this.#folder, fresh))).close();
    await this.#save(state);
    await this.#recover();
  }

  async load(): Promise<StoreState> {
    const own = this.#state.own.map(({ client, length, acknowledged, highWater }): OwnClient => {
      return { client, length: length ?? this.#log(client).length, acknowledged, highWater };
    });
    const drafts = (await this.#drafts?.read(own.at(-1)?.length ?? 0)) ?? [];
    const { received } = this.#state;
    const cursors = received.map(({ cursor }) => cursor);
    return { own, drafts, cursors, starts: received.flatMap(({ start }) => start ?? []) };
  }

  begin(client: string): Promise<void> {
    return this.#queue.run(async () => {
      this.#logs.set(client, await LogFile.open(logPath(this.#folder, client)));
      await this.#save({
        ...this.#state,
        own: [...this.#state.own, { client, acknowledged: 0, highWater: 0 }],
      });
    });
  }

  append(client: string, first: number, payloads: readonly string[]): Promise<void> {
    return this.#queue.run(async () => {
      await this.#lock.check();
      const log = this.#log(client);
      if (log.length !== first)
        throw new RangeError(`the next operation of ${client} is ${log.length}`);
      await log.append(payloads);
    });
  }

  appendDraft(client: string, index: number, payload: string): Promise<void> {
    return this.#queue.run(async () => {
      await this.#lock.check();
      const { length } = this.#log(client);
      this.#drafts ??= await DraftFile.open(draftsPath(this.#folder, client), length);
      const next = length + this.#drafts.count(length);
      if (index !== next) throw new RangeError(`the next draft of ${client} is ${next}`);
      await this.#drafts.append(length, payload);
    });
  }

  read(client: string, first: number, count: number, bytes: number): Promise<string[]> {
    return this.#queue.run(() => this.#log(client).read(first, count, bytes));
  }

  acknowledge(client: string, acknowledged: number): Promise<void> {
    return this.#change((state) => withAcknowledged(state, client, acknowledged));
  }

  receive(cursor: Cursor, payloads: readonly string[]): Promise<void> {
    return this.#queue.run(async () => {
      await this.#lock.check();
      const { client } = cursor;
      const received = await this.#files.append(this.#received(client), cursor, payloads);
      await this.#save(withReceived(this.#state, client, received));
    });
  }

  readReceived(client: string, first: number, characters: number): Promise<Received> {
    return this.#queue.run(async () => {
      const received = this.#received(client);
      if (received === undefined) return { first, payloads: [] };
      return this.#files.read(received, first, characters);
    });
  }

  forget(client: string, start: Cursor | undefined): Promise<void> {
    const received = start && { start, cursor: start, bytes: 0 };
    return this.#change((state) => {
      this.#files.forget(client);
      return withReceived(state, client, received);
    });
  }

  move({ from, length, to, payloads }: Move): Promise<void> {
    return this.#queue.run(async () => {
      await this.#lock.check();
      // Until the state is saved, a crash leaves a file that was never finished.
      const log = await LogFile.open(unfinishedPath(this.#folder, to));
      this.#logs.set(to, log);
      await log.append(payloads);
      // The move counts once the state is saved. After a crash from then on, opening cuts the old log.
      await this.#save(withMove(this.#state, from, length, to, (one) => this.#lengthOf(one)));
      await rename(unfinishedPath(this.#folder, to), logPath(this.#folder, to));
      await syncFolder(this.#folder);
      await this.#log(from).cut(length);
      // They were those of the old client id.
      await this.#drafts?.close();
      this.#drafts = undefined;
    });
  }

  cut(client: string, length: number): Promise<void> {
    return this.#queue.run(async () => {
      // After a crash from then on, opening cuts the log.
      await this.#save(withCut(this.#state, client, length));
      await this.#log(client).cut(length);
    });
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

  close(): Promise<void> {
    return this.#queue.run(async () => {
      await this.#closeLogs();
      await this.#lock.release();
    });
  }

  async #closeLogs(): Promise<void> {
    for (const log of this.#logs.values()) await log.close();
    this.#logs.clear();
    await this.#drafts?.close();
    this.#drafts = undefined;
  }

  /** Another slot that may not be opened, as one of newer software, keeps no other from being sent. */
  #leaveAlone(slot: string, error: unknown): undefined {
    if (!(error instanceof StoreDamaged)) throw error;
    if (!this.#leftAlone.has(slot)) console.warn(`${error.message}: it is left as it is.`);
    this.#leftAlone.add(slot);
  }

  /** Reads the state and the logs, and finishes or removes what a crash left unfinished. */
  async #recover(): Promise<void> {
    this.#state = await readState(this.#folder);
    const { own, received } = this.#state;
    await this.#files.check(received);
    await finishLogs(this.#folder, own);
    for (const { client, length, acknowledged } of own) {
      const least = Math.max(acknowledged, length ?? 0);
      this.#logs.set(client, await LogFile.open(logPath(this.#folder, client), least, length));
    }
    await removeLeftovers(this.#folder, this.#state);
    for (const client of await clientsWithDrafts(this.#folder)) {
      const path = draftsPath(this.#folder, client);
      this.#drafts = await DraftFile.open(path, this.#log(client).length);
    }
  }

  #received(client: string): ReceivedState | undefined {
    return this.#state.received.find(({ cursor }) => cursor.client === client);
  }

  #change(change: (state: State) => State): Promise<void> {
    return this.#queue.run(() => this.#save(change(this.#state)));
  }

  async #save(state: State): Promise<void> {
    await this.#lock.check();
    await replaceFile(this.#folder, STATE_FILE, JSON.stringify(state));
    this.#state = state;
  }

  #log(client: string): LogFile {
    const log = this.#logs.get(client);
    if (log === undefined) throw new RangeError(`${client} is no client id of this store`);
    return log;
  }

  #lengthOf({ client, length }: State["own"][number]): number {
    return length ?? this.#log(client).length;
  }
}
