import { type BrowserDatabase, result } from "../browser-database.ts";
import { BrowserTabs } from "../browser-tabs.ts";
import type { Cursor, Identity } from "../types.ts";
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
import { type IndexedDbDamage, isOwn, repair } from "./indexeddb-repair.ts";
import {
  type CursorRow,
  type OwnRow,
  openTables,
  rangeOf,
  rowsOf,
  TABLES,
  type Tables,
} from "./indexeddb-tables.ts";
import type { Move, OwnClient, Place, Received, Store, StoreState } from "./store.ts";

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
      const rows = await ownRows(table, this.#slot);
      const own = rows.map(({ slot: _, place: __, ...one }): OwnClient => one);
      const drafts = await draftsAfter(table, own.at(-1));
      const received = await result<CursorRow[]>(table("cursors").getAll(rangeOf(this.#slot)));
      const cursors = received.map(({ slot: _, start: __, ...one }): Cursor => one);
      return { own, drafts, cursors, starts: received.flatMap(({ start }) => start ?? []) };
    });
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
    return this.#transaction("readonly", (table) =>
      readOwn(table, this.#slot, client, { first, count, characters }),
    );
  }

  acknowledge(client: string, acknowledged: number, delivered?: Place): Promise<void> {
    return this.#write((table) =>
      acknowledgeOwn(table, this.#slot, client, acknowledged, delivered),
    );
  }

  receive(cursor: Cursor, payloads: readonly string[]): Promise<void> {
    return this.#write((table) => receive(table, this.#slot, cursor, payloads));
  }

  readReceived(client: string, first: number, characters: number): Promise<Received> {
    return this.#transaction("readonly", (table) =>
      readReceived(table, this.#slot, client, first, characters),
    );
  }

  forget(client: string, start: Cursor | undefined): Promise<void> {
    return this.#write((table) => forget(table, this.#slot, client, start));
  }

  move(move: Move): Promise<void> {
    return this.#write((table) => moveOwn(table, this.#slot, move));
  }

  cut(client: string, length: number): Promise<void> {
    return this.#write((table) => cutOwn(table, this.#slot, client, length));
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

  #write(work: (table: Tables) => Promise<void>): Promise<void> {
    return this.#transaction("readwrite", work);
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
