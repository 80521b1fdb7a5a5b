import { randomUUID } from "node:crypto";
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { StoreDamaged } from "../errors.ts";
import type { Cursor, Identity } from "../types.ts";
import { FolderLock } from "./folder-lock.ts";
import { LogFile, syncFolder } from "./folder-log.ts";
import type { Move, OwnClient, Store, StoreState } from "./store.ts";

/** What `state.json` holds. It is replaced as a whole, so it is the one place of truth. */
interface State {
  readonly version: 1;
  /** `length` is that of an old client id; of the one in use, the file itself tells. */
  readonly own: readonly {
    readonly client: string;
    readonly length?: number;
    readonly acknowledged: number;
  }[];
  readonly cursors: readonly Cursor[];
}

const EMPTY: State = { version: 1, own: [], cursors: [] };

/**
 * Keeps a client in a folder, for Node, Bun and Deno:
 *
 *     FOLDER/FINGERPRINT/0/state.json     client ids, acknowledgements, cursors
 *     FOLDER/FINGERPRINT/0/CLIENT_ID.log  own operations, a payload a line
 *     FOLDER/FINGERPRINT/1/…              the same, of a second process at the same time
 *
 * A file is replaced by rename and a log is added to; both are synced to the disk before a method
 * returns.
 */
export class FolderStore implements Store {
  readonly #place: string;
  readonly #folder: string;
  readonly #claim: FolderLock;
  readonly #logs = new Map<string, LogFile>();
  #state: State = EMPTY;
  #turn: Promise<unknown> = Promise.resolve();

  private constructor(place: string, slot: number, claim: FolderLock) {
    this.#place = place;
    this.#folder = join(place, String(slot));
    this.#claim = claim;
  }

  /**
   * Opens the first store in a folder that no other process has open; makes it where there is none.
   * Throws `StoreDamaged`, and what the system refuses.
   */
  static async open(
    folder: string,
    { fingerprint }: Pick<Identity, "fingerprint">,
  ): Promise<FolderStore> {
    const place = join(folder, fingerprint);
    for (let slot = 0; ; slot++) {
      const store = await FolderStore.#openSlot(place, slot);
      if (store !== undefined) return store;
    }
  }

  static async #openSlot(place: string, slot: number): Promise<FolderStore | undefined> {
    const folder = join(place, String(slot));
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const claim = await FolderLock.take(folder);
    if (claim === undefined) return undefined;
    const store = new FolderStore(place, slot, claim);
    try {
      await syncFolder(place);
      await store.#recover();
      return store;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  async load(): Promise<StoreState> {
    const own = this.#state.own.map(({ client, length, acknowledged }): OwnClient => {
      return { client, length: length ?? this.#log(client).length, acknowledged };
    });
    return { own, cursors: this.#state.cursors };
  }

  begin(client: string): Promise<void> {
    return this.#inTurn(async () => {
      this.#logs.set(client, await LogFile.open(this.#path(client)));
      await this.#save({ ...this.#state, own: [...this.#state.own, { client, acknowledged: 0 }] });
    });
  }

  append(client: string, first: number, payloads: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      const log = this.#log(client);
      if (log.length !== first) throw new RangeError(`the next operation is ${log.length}`);
      await log.append(payloads);
    });
  }

  read(client: string, first: number, count: number, bytes: number): Promise<string[]> {
    return this.#inTurn(() => this.#log(client).read(first, count, bytes));
  }

  acknowledge(client: string, acknowledged: number): Promise<void> {
    return this.#change(({ own, ...rest }) => ({
      ...rest,
      own: own.map((one) => (one.client === client ? { ...one, acknowledged } : one)),
    }));
  }

  advance(cursor: Cursor): Promise<void> {
    return this.#change((state) => ({
      ...state,
      cursors: [...without(state.cursors, cursor.client), cursor],
    }));
  }

  replaceCursors(cursors: readonly Cursor[]): Promise<void> {
    return this.#change((state) => ({ ...state, cursors }));
  }

  move({ from, length, to, payloads }: Move): Promise<void> {
    return this.#inTurn(async () => {
      const log = await LogFile.open(this.#path(to));
      await log.append(payloads);
      this.#logs.set(to, log);
      const { own, ...rest } = this.#state;
      // From here on it has happened. What the old log has beyond its length is cut when it opens.
      await this.#save({
        ...rest,
        own: [
          ...own.map((one) => {
            if (one.client !== from) return { ...one, length: this.#lengthOf(one) };
            return { client: from, length, acknowledged: Math.min(one.acknowledged, length) };
          }),
          { client: to, acknowledged: 0 },
        ],
      });
      await this.#log(from).cut(length);
    });
  }

  async abandoned(): Promise<Store[]> {
    const stores: Store[] = [];
    for (const name of await readdir(this.#place)) {
      if (!/^\d+$/.test(name) || join(this.#place, name) === this.#folder) continue;
      const store = await FolderStore.#openSlot(this.#place, Number(name));
      if (store === undefined) continue;
      const { own } = await store.load();
      const pending = own.some(({ length, acknowledged }) => acknowledged < length);
      if (pending) stores.push(store);
      else await store.close();
    }
    return stores;
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      for (const log of this.#logs.values()) await log.close();
      this.#logs.clear();
      await this.#claim.release();
    });
  }

  /** Reads what is there, and removes what a crash has left half done. */
  async #recover(): Promise<void> {
    this.#state = await this.#readState();
    const known = new Set(this.#state.own.map(({ client }) => `${client}.log`));
    for (const name of await readdir(this.#folder)) {
      const leftover = name.endsWith(".tmp") || (name.endsWith(".log") && !known.has(name));
      if (leftover) await rm(join(this.#folder, name), { force: true });
    }
    for (const { client, length, acknowledged } of this.#state.own) {
      const log = await LogFile.open(this.#path(client), Math.max(acknowledged, length ?? 0));
      this.#logs.set(client, log);
      if (length !== undefined) await log.cut(length);
    }
  }

  async #readState(): Promise<State> {
    const path = join(this.#folder, "state.json");
    let text: string;
    try {
      text = await readFile(path, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return EMPTY;
      throw error;
    }
    try {
      const state: State = JSON.parse(text);
      if (state.version === 1) return state;
    } catch (error) {
      throw new StoreDamaged(`${path} cannot be read`, { cause: error });
    }
    throw new StoreDamaged(`${path} is of a version that this software does not read`);
  }

  #change(change: (state: State) => State): Promise<void> {
    return this.#inTurn(() => this.#save(change(this.#state)));
  }

  async #save(state: State): Promise<void> {
    const aside = join(this.#folder, `${randomUUID()}.tmp`);
    const file: FileHandle = await open(aside, "wx", 0o600);
    try {
      await file.writeFile(JSON.stringify(state));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, join(this.#folder, "state.json"));
    await syncFolder(this.#folder);
    this.#state = state;
  }

  #path(client: string): string {
    return join(this.#folder, `${client}.log`);
  }

  #log(client: string): LogFile {
    const log = this.#logs.get(client);
    if (log === undefined) throw new RangeError(`${client} is no client of this store`);
    return log;
  }

  #lengthOf({ client, length }: State["own"][number]): number {
    return length ?? this.#log(client).length;
  }

  /** One change at a time, so that none is lost. */
  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

function without(cursors: readonly Cursor[], client: string): Cursor[] {
  return cursors.filter((cursor) => cursor.client !== client);
}
