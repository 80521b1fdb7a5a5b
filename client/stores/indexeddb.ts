import { type BrowserDatabase, result } from "../browser-database.ts";
import { BrowserTabs } from "../browser-tabs.ts";
import { StoreDamaged } from "../errors.ts";
import type { Cursor, Identity } from "../types.ts";
import { type IndexedDbDamage, isOperation, isOwn, repair } from "./indexeddb-repair.ts";
import {
  type CursorRow,
  cutOperations,
  draftsAfter,
  type OperationRow,
  type OwnRow,
  openTables,
  putPayloads,
  READ_AT_ONCE,
  type ReceivedRow,
  rangeOf,
  readReceived,
  rowsOf,
  TABLES,
  type Tables,
} from "./indexeddb-tables.ts";
import type { Move, OwnClient, Received, Store, StoreState } from "./store.ts";
import { checkFollows } from "./stored-values.ts";

/** What an app may want to know of its store. */
export interface IndexedDbOptions {
  /**
   * Called when the browser has deleted the database, or closed it and does not open it again. The
   * client cannot go on: close it, and ask the user to load the page again.
   */
  readonly onLost?: (error: Error) => void;
  /**
   * Called when a slot was damaged: it is kept under another name, and what can be read of it is
   * taken over. Operations of other installations are delivered again. By default, warns on the
   * console.
   */
  readonly onDamaged?: (damage: IndexedDbDamage) => void;
}

/** What all slots of a user have in common. */
interface Scope {
  /** Of the database and the locks. */
  readonly name: string;
  readonly fingerprint: string;
}

/**
 * Stores an installation in a browser.
 *
 * Two tabs must not share a client id, so each tab has its own slot of the database, locked by a
 * Web Lock, which the browser releases with the tab. The first tab gets slot 0, also after a
 * reload. A second tab at the same time gets slot 1, with another client id and other cursors.
 */
export class IndexedDbStore implements Store {
  readonly #database: BrowserDatabase;
  readonly #scope: Scope;
  readonly #number: number;
  readonly #release: () => void;
  readonly #onDamaged: (damage: IndexedDbDamage) => void;

  private constructor(
    database: BrowserDatabase,
    scope: Scope,
    number: number,
    release: () => void,
    onDamaged: (damage: IndexedDbDamage) => void,
  ) {
    this.#database = database;
    this.#scope = scope;
    this.#number = number;
    this.#release = release;
    this.#onDamaged = onDamaged;
  }

  /**
   * Opens the first slot of a user that no other tab has open. Rejects with the error of the
   * database.
   *
   * @param name of the database and the locks, such as the app's name; several users may share it
   */
  static async open(
    name: string,
    { fingerprint }: Pick<Identity, "fingerprint">,
    options: IndexedDbOptions = {},
  ): Promise<IndexedDbStore> {
    for (let number = 0; ; number++) {
      const store = await IndexedDbStore.#openSlot({ name, fingerprint }, number, options);
      if (store !== undefined) return store;
    }
  }

  /** `undefined` for a slot that another tab has open. */
  static async #openSlot(
    scope: Scope,
    number: number,
    { onLost, onDamaged = warn }: IndexedDbOptions,
  ): Promise<IndexedDbStore | undefined> {
    const release = await takeWebLock(`${scope.name} ${scope.fingerprint} ${number}`);
    if (release === undefined) return undefined;
    let database: BrowserDatabase | undefined;
    try {
      database = await openTables(scope.name, onLost);
      const store = new IndexedDbStore(database, scope, number, release, onDamaged);
      const damage = await repair(database, store.#slot);
      if (damage !== undefined) onDamaged(damage);
      return store;
    } catch (error) {
      database?.close();
      release();
      throw error;
    }
  }

  /** The slot of this tab: 0 for the first. An app may store its own data by it. */
  get slot(): number {
    return this.#number;
  }

  load(): Promise<StoreState> {
    return this.#transaction("readonly", async (table) => {
      const own = (await this.#own(table)).map(({ slot: _, place: __, ...one }): OwnClient => one);
      const drafts = await draftsAfter(table, own.at(-1));
      const rows = await result<CursorRow[]>(table("cursors").getAll(this.#range));
      const cursors = rows.map(({ slot: _, start: __, ...one }): Cursor => one);
      return { own, drafts, cursors, starts: rows.flatMap(({ start }) => start ?? []) };
    });
  }

  begin(client: string): Promise<void> {
    return this.#transaction("readwrite", (table) => this.#begin(table, client, []));
  }

  append(client: string, first: number, payloads: readonly string[]): Promise<void> {
    return this.#transaction("readwrite", async (table) => {
      const row = await this.#row(table, client);
      if (row.length !== first) throw new RangeError(`the next operation is ${row.length}`);
      putPayloads(table, client, first, payloads);
      table("drafts").delete(rowsOf(client));
      table("own").put({ ...row, length: first + payloads.length });
    });
  }

  appendDraft(client: string, index: number, payload: string): Promise<void> {
    return this.#transaction("readwrite", async (table) => {
      const { length } = await this.#row(table, client);
      const next = length + (await result(table("drafts").count(rowsOf(client))));
      if (index !== next) throw new RangeError(`the next draft is ${next}`);
      const row: OperationRow = { client, index, payload };
      table("drafts").put(row);
    });
  }

  read(client: string, first: number, count: number, bytes: number): Promise<string[]> {
    return this.#transaction("readonly", async (table) => {
      const payloads: string[] = [];
      let room = bytes;
      // What may lie behind belongs to a slot that was set aside.
      const end = Math.min(first + count, (await this.#row(table, client)).length);
      for (let at = first; at < end; at += READ_AT_ONCE) {
        const last = Math.min(at + READ_AT_ONCE, end) - 1;
        const range = IDBKeyRange.bound([client, at], [client, last]);
        const rows: OperationRow[] = await result(table("operations").getAll(range));
        for (let index = at; index <= last; index++) {
          const row = rows[index - at];
          // Another one in its place would be sent under its index.
          if (row === undefined || !isOperation(row, index)) {
            throw new StoreDamaged(
              `operation ${index} of ${client} cannot be read: load the page again`,
            );
          }
          room -= row.payload.length;
          if (room < 0 && payloads.length > 0) return payloads;
          payloads.push(row.payload);
        }
      }
      return payloads;
    });
  }

  acknowledge(client: string, acknowledged: number): Promise<void> {
    return this.#transaction("readwrite", async (table) => {
      const row = await this.#row(table, client);
      const highWater = Math.max(row.highWater, acknowledged);
      table("own").put({ ...row, acknowledged, highWater });
    });
  }

  receive(cursor: Cursor, payloads: readonly string[]): Promise<void> {
    return this.#transaction("readwrite", async (table) => {
      const slot = this.#slot;
      const { client, index } = cursor;
      const known = await result<CursorRow | undefined>(table("cursors").get([slot, client]));
      checkFollows(known, index, payloads.length);
      const row: ReceivedRow = { slot, client, first: index - payloads.length + 1, payloads };
      table("received").put(row);
      table("cursors").put({ ...cursor, slot, ...(known?.start && { start: known.start }) });
    });
  }

  readReceived(client: string, first: number, characters: number): Promise<Received> {
    return this.#transaction("readonly", (table) =>
      readReceived(table, this.#slot, client, first, characters),
    );
  }

  forget(client: string, start: Cursor | undefined): Promise<void> {
    return this.#transaction("readwrite", async (table) => {
      const slot = this.#slot;
      table("received").delete(IDBKeyRange.bound([slot, client], [slot, client, []]));
      if (start === undefined) table("cursors").delete([slot, client]);
      else table("cursors").put({ ...start, slot, start });
    });
  }

  move({ from, length, to, payloads }: Move): Promise<void> {
    return this.#transaction("readwrite", async (table) => {
      cutOperations(table, await this.#row(table, from), length);
      const inUse = (await this.#own(table)).at(-1);
      if (inUse !== undefined) table("drafts").delete(rowsOf(inUse.client));
      await this.#begin(table, to, payloads);
    });
  }

  cut(client: string, length: number): Promise<void> {
    return this.#transaction("readwrite", async (table) => {
      cutOperations(table, await this.#row(table, client), length);
    });
  }

  async abandoned(): Promise<Store[]> {
    const { fingerprint } = this.#scope;
    const all = IDBKeyRange.bound([`${fingerprint} `], [`${fingerprint} \uffff`]);
    const rows = await this.#transaction("readonly", async (table) => {
      const unsent: OwnRow[] = [];
      for (const row of await result<OwnRow[]>(table("own").getAll(all))) {
        const isUnsent = !isOwn(row) || row.acknowledged < row.length;
        if (isUnsent || (await result(table("drafts").count(rowsOf(row.client)))) > 0) {
          unsent.push(row);
        }
      }
      return unsent;
    });
    const slots = new Set(rows.map(({ slot }) => Number(slot.split(" ")[1])));
    slots.delete(this.#number);
    const stores: Store[] = [];
    try {
      for (const number of slots) {
        const store = await IndexedDbStore.#openSlot(this.#scope, number, {
          onDamaged: this.#onDamaged,
        });
        if (store !== undefined) stores.push(store);
      }
      return stores;
    } catch (error) {
      for (const store of stores) await store.close();
      throw error;
    }
  }

  tabs(onWake: () => void): BrowserTabs {
    return new BrowserTabs(`${this.#scope.name} ${this.#scope.fingerprint} waits`, onWake);
  }

  async close(): Promise<void> {
    this.#database.close();
    this.#release();
  }

  /** As the rows name it. */
  get #slot(): string {
    return `${this.#scope.fingerprint} ${this.#number}`;
  }

  get #range(): IDBKeyRange {
    return rangeOf(this.#slot);
  }

  #own(table: Tables): Promise<OwnRow[]> {
    return result(table("own").getAll(this.#range));
  }

  async #row(table: Tables, client: string): Promise<OwnRow> {
    const row = (await this.#own(table)).find((one) => one.client === client);
    if (row === undefined) throw new RangeError(`${client} is no client id of this store`);
    return row;
  }

  async #begin(table: Tables, client: string, payloads: readonly string[]): Promise<void> {
    const { length: place } = await this.#own(table);
    const row: OwnRow = {
      slot: this.#slot,
      place,
      client,
      length: payloads.length,
      acknowledged: 0,
      highWater: 0,
    };
    table("own").put(row);
    putPayloads(table, client, 0, payloads);
  }

  #transaction<Result>(
    mode: IDBTransactionMode,
    work: (table: Tables) => Promise<Result>,
  ): Promise<Result> {
    return this.#database.transaction(TABLES, mode, work);
  }
}

/** Takes a Web Lock. Returns a function that releases it; `undefined` if it is held. */
function takeWebLock(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (granted) => {
        if (granted === null) return resolve(undefined);
        return new Promise<void>((release) => resolve(release));
      })
      .catch(reject);
  });
}

function warn({ reason, slot, operations }: IndexedDbDamage): void {
  console.warn(
    `What this browser stores is damaged: ${reason}. It is kept as "${slot}"; the operations that can ` +
      `be read of it (${operations}) are sent again.`,
  );
}
