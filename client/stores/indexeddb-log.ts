import type { Line } from "../../protocol/types.ts";
import { type BrowserDatabase, result } from "../browser-database.ts";
import type { Cursor } from "../types.ts";
import { BrowserTabs } from "./browser-tabs.ts";
import { FollowingTab } from "./following.ts";
import {
  putCursor,
  putPlace,
  readChanges,
  readDelivered,
  restartCursors,
} from "./indexeddb-delivered.ts";
import {
  acknowledgeOwn,
  appendDraft,
  appendOwn,
  beginOwn,
  cutOwn,
  draftsAfter,
  moveOwn,
  ownRows,
  readOwn,
} from "./indexeddb-own.ts";
import { forget, readReceived, receive } from "./indexeddb-received.ts";
import { keepSnapshot, keptSnapshot, readSnapshot, snapshotLoaded } from "./indexeddb-snapshot.ts";
import { type CursorRow, rangeOf, TABLES, type Tables } from "./indexeddb-tables.ts";
import type { Move, OwnClient, Place, Received, SharedStore, Store, StoreState } from "./store.ts";
import { underWebLock } from "./web-locks.ts";

const BEGINNING = { index: 0, position: 0 };

/** The tab that has a log open, where others may have it open as well. */
export interface TabSlot {
  /** As the rows name it that say what was delivered here. */
  readonly slot: string;
  /** Whether it is the first one, which the log may have been before there were others. */
  readonly isFirst: boolean;
  /** What the names of Web Locks begin with. */
  readonly locks: string;
}

/** A log in a database: own operations, and those received of others. */
export class IndexedDbLog implements Store {
  readonly #database: BrowserDatabase;
  readonly #slot: string;
  readonly #tab: TabSlot | undefined;
  readonly shared: SharedStore | undefined;
  #tabs: BrowserTabs | undefined;
  /** How often the log had been changed, as far as this tab knows. */
  #changes: number | undefined;
  #hasChanged = false;

  /**
   * @param slot as the rows of the log name it
   * @param tab `undefined` for a log that no other tab has open
   */
  constructor(database: BrowserDatabase, slot: string, tab?: TabSlot) {
    this.#database = database;
    this.#slot = slot;
    this.#tab = tab;
    this.shared = tab && {
      isChanged: () => this.#read(async (table) => (await this.#count(table)) !== this.#changes),
      reload: () => this.#reload(),
      exclusive: (task) => this.#exclusive(`${tab.locks} writes`, task),
      recordDelivered: (cursors) =>
        this.#transaction("readwrite", async (table) => {
          for (const cursor of cursors) await putCursor(table, tab.slot, cursor);
        }),
      restartDelivered: (cursors) =>
        this.#transaction("readwrite", (table) => restartCursors(table, tab.slot, cursors)),
      join: (others, app) => {
        return new FollowingTab(
          others,
          (refusal) => app.onRefusal?.(refusal),
          (onNews) => {
            this.#tabs = new BrowserTabs(`${tab.locks} leads`, others, onNews);
            return this.#tabs;
          },
        );
      },
    };
  }

  load(): Promise<StoreState> {
    return this.#read((table) => this.#load(table));
  }

  begin(client: string): Promise<void> {
    return this.#write((table) => beginOwn(table, this.#slot, client, []));
  }

  append(client: string, first: number, payloads: readonly string[]): Promise<void> {
    return this.#write((table) => appendOwn(table, this.#slot, client, first, payloads));
  }

  appendDraft(client: string, index: number, payload: string): Promise<void> {
    return this.#write((table) => appendDraft(table, this.#slot, { client, index, payload }));
  }

  read(client: string, first: number, count: number, characters: number): Promise<string[]> {
    return this.#read((table) => readOwn(table, this.#slot, client, { first, count, characters }));
  }

  acknowledge(client: string, acknowledged: number, delivered?: Place): Promise<void> {
    return this.#write(async (table) => {
      if (delivered && this.#tab) await putPlace(table, this.#tab.slot, client, delivered);
      return acknowledgeOwn(table, this.#slot, client, acknowledged);
    });
  }

  receive(cursor: Cursor, payloads: readonly string[]): Promise<void> {
    // What a power failure takes back, with the cursor or without it, the server sends again.
    return this.#write(async (table) => {
      await receive(table, this.#slot, cursor, payloads);
      // A cursor alone may be of operations that are yet to be delivered.
      if (this.#tab && payloads.length > 0) await putCursor(table, this.#tab.slot, cursor);
    }, "relaxed");
  }

  readReceived(client: string, first: number, characters: number): Promise<Received> {
    return this.#read((table) => readReceived(table, this.#slot, client, first, characters));
  }

  forget(client: string, start: Cursor | undefined): Promise<void> {
    return this.#write((table) => forget(table, this.#slot, client, start));
  }

  keepSnapshot(snapshot: Line | undefined, isLoaded: boolean): Promise<void> {
    return this.#write(async (table) => keepSnapshot(table, this.#slot, snapshot, isLoaded));
  }

  snapshotLoaded(): Promise<void> {
    return this.#write((table) => snapshotLoaded(table, this.#slot));
  }

  readSnapshot(): Promise<string | undefined> {
    return this.#read((table) => readSnapshot(table, this.#slot));
  }

  move(move: Move): Promise<void> {
    return this.#write((table) => moveOwn(table, this.#slot, move));
  }

  cut(client: string, length: number): Promise<void> {
    return this.#write((table) => cutOwn(table, this.#slot, client, length));
  }

  async abandoned(): Promise<Store[]> {
    return [];
  }

  async close(): Promise<void> {
    this.#tabs?.close();
    this.#database.close();
  }

  async #load(table: Tables): Promise<StoreState> {
    const rows = await ownRows(table, this.#slot);
    const own = rows.map(({ slot: _, place: __, ...one }): OwnClient => one);
    const drafts = await draftsAfter(table, own.at(-1));
    const received = await result<CursorRow[]>(table("cursors").getAll(rangeOf(this.#slot)));
    const cursors = received.map(({ slot: _, start: __, ...one }): Cursor => one);
    const starts = received.flatMap(({ start }) => start ?? []);
    const snapshot = await keptSnapshot(table, this.#slot);
    const state = { own, drafts, cursors, starts, ...(snapshot && { snapshot }) };
    if (this.#tab === undefined) return state;
    const { isNew, places, cursors: delivered } = await readDelivered(table, this.#tab.slot);
    const none = isNew && !this.#tab.isFirst ? BEGINNING : undefined;
    return {
      ...state,
      own: own.map(({ delivered: _, ...one }) => {
        const place = places.get(one.client) ?? none;
        return { ...one, ...(place && { delivered: place }) };
      }),
      delivered,
    };
  }

  async #reload(): Promise<StoreState> {
    const { state, changes } = await this.#read(async (table) => ({
      state: await this.#load(table),
      changes: await this.#count(table),
    }));
    this.#changes = changes;
    return state;
  }

  async #exclusive<Result>(lock: string, task: () => Promise<Result>): Promise<Result> {
    try {
      return await underWebLock(lock, task);
    } finally {
      if (this.#hasChanged) this.#tabs?.changed();
      this.#hasChanged = false;
    }
  }

  #count(table: Tables): Promise<number> {
    return readChanges(table, this.#slot);
  }

  /** @param work returns false if it changes nothing that other tabs have */
  async #write(
    work: (table: Tables) => Promise<unknown>,
    durability?: IDBTransactionDurability,
  ): Promise<void> {
    const counted = async (table: Tables) => {
      const before = await this.#count(table);
      if ((await work(table)) === false) return this.#changes;
      // This tab was suspended, and its Web Lock taken away.
      if (before !== (this.#changes ?? before))
        throw new Error("another tab was faster: try again");
      table("changes").put({ slot: this.#slot, count: before + 1 });
      return before + 1;
    };
    const changes = await this.#transaction("readwrite", counted, durability);
    this.#hasChanged ||= changes !== this.#changes;
    this.#changes = changes;
  }

  #read<Result>(work: (table: Tables) => Promise<Result>): Promise<Result> {
    return this.#transaction("readonly", work);
  }

  #transaction<Result>(
    mode: IDBTransactionMode,
    work: (table: Tables) => Promise<Result>,
    durability?: IDBTransactionDurability,
  ): Promise<Result> {
    return this.#database.transaction(TABLES, mode, work, durability);
  }
}
