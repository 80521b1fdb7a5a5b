import { BrowserDatabase, result } from "../browser-database.ts";
import type { Cursor, Identity } from "../types.ts";
import type { Move, OwnClient, Store, StoreState } from "./store.ts";

/** An own client id; `place` orders them. */
interface OwnRow {
  readonly slot: string;
  readonly place: number;
  readonly client: string;
  readonly length: number;
  readonly acknowledged: number;
  readonly highWater: number;
}

interface OperationRow {
  readonly client: string;
  readonly index: number;
  readonly payload: string;
}

interface CursorRow extends Cursor {
  readonly slot: string;
}

type Table = "own" | "operations" | "cursors";

const TABLES: readonly Table[] = ["own", "operations", "cursors"];

/** What an app may want to know of its store. */
export interface IndexedDbOptions {
  /**
   * Called when the browser has deleted the database, or closed it and does not open it again. The
   * client cannot go on: close it, and ask the user to load the page again.
   */
  readonly onLost?: (error: Error) => void;
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
  readonly #name: string;
  readonly #user: string;
  readonly #slot: string;
  readonly #number: number;
  readonly #release: () => void;

  private constructor(
    database: BrowserDatabase,
    place: { readonly name: string; readonly user: string },
    slot: { readonly key: string; readonly number: number; readonly release: () => void },
  ) {
    this.#database = database;
    this.#name = place.name;
    this.#user = place.user;
    this.#slot = slot.key;
    this.#number = slot.number;
    this.#release = slot.release;
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
    { onLost }: IndexedDbOptions = {},
  ): Promise<IndexedDbStore> {
    const user = `${name} ${fingerprint}`;
    for (let number = 0; ; number++) {
      const release = await takeWebLock(`${user} ${number}`);
      if (release === undefined) continue;
      try {
        const slot = { key: `${fingerprint} ${number}`, number, release };
        return new IndexedDbStore(await openDatabase(name, onLost), { name, user }, slot);
      } catch (error) {
        release();
        throw error;
      }
    }
  }

  /** The slot of this tab: 0 for the first. An app may store its own data by it. */
  get slot(): number {
    return this.#number;
  }

  load(): Promise<StoreState> {
    return this.#transaction("readonly", async (table) => ({
      own: (await this.#own(table)).map(({ slot: _, place: __, ...own }): OwnClient => own),
      cursors: (await this.#cursors(table)).map(({ slot: _, ...cursor }): Cursor => cursor),
    }));
  }

  begin(client: string): Promise<void> {
    return this.#transaction("readwrite", (table) => this.#begin(table, client, []));
  }

  append(client: string, first: number, payloads: readonly string[]): Promise<void> {
    return this.#transaction("readwrite", async (table) => {
      const row = await this.#row(table, client);
      if (row.length !== first) throw new RangeError(`the next operation is ${row.length}`);
      putPayloads(table, client, first, payloads);
      table("own").put({ ...row, length: first + payloads.length });
    });
  }

  read(client: string, first: number, count: number, bytes: number): Promise<string[]> {
    return this.#transaction("readonly", async (table) => {
      const payloads: string[] = [];
      let room = bytes;
      for (let at = first; at < first + count; at += READ_AT_ONCE) {
        const last = Math.min(at + READ_AT_ONCE, first + count) - 1;
        const range = IDBKeyRange.bound([client, at], [client, last]);
        const rows: OperationRow[] = await result(table("operations").getAll(range));
        for (const { payload } of rows) {
          room -= payload.length;
          if (room < 0 && payloads.length > 0) return payloads;
          payloads.push(payload);
        }
        if (rows.length <= last - at) break;
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

  advance(cursor: Cursor): Promise<void> {
    return this.#transaction("readwrite", async (table) => {
      table("cursors").put({ ...cursor, slot: this.#slot });
    });
  }

  replaceCursors(cursors: readonly Cursor[]): Promise<void> {
    return this.#transaction("readwrite", async (table) => {
      table("cursors").delete(this.#range);
      for (const cursor of cursors) table("cursors").put({ ...cursor, slot: this.#slot });
    });
  }

  move({ from, length, to, payloads }: Move): Promise<void> {
    return this.#transaction("readwrite", async (table) => {
      const row = await this.#row(table, from);
      const acknowledged = Math.min(row.acknowledged, length);
      const highWater = Math.min(row.highWater, length);
      table("own").put({ ...row, length, acknowledged, highWater });
      const cut = IDBKeyRange.bound([from, length], [from, Number.POSITIVE_INFINITY]);
      table("operations").delete(cut);
      await this.#begin(table, to, payloads);
    });
  }

  async abandoned(): Promise<Store[]> {
    const [fingerprint = ""] = this.#slot.split(" ");
    const rows: OwnRow[] = await this.#transaction("readonly", (table) =>
      result(
        table("own").getAll(IDBKeyRange.bound([`${fingerprint} `], [`${fingerprint} \uffff`])),
      ),
    );
    const slots = new Set(
      rows.filter((row) => row.acknowledged < row.length).map(({ slot }) => slot),
    );
    slots.delete(this.#slot);
    const stores: Store[] = [];
    for (const key of slots) {
      const number = Number(key.split(" ")[1]);
      const release = await takeWebLock(`${this.#user} ${number}`);
      if (release === undefined) continue;
      const place = { name: this.#name, user: this.#user };
      const database = await openDatabase(this.#name);
      stores.push(new IndexedDbStore(database, place, { key, number, release }));
    }
    return stores;
  }

  async close(): Promise<void> {
    this.#database.close();
    this.#release();
  }

  get #range(): IDBKeyRange {
    return IDBKeyRange.bound([this.#slot], [this.#slot, []]);
  }

  #own(table: Tables): Promise<OwnRow[]> {
    return result(table("own").getAll(this.#range));
  }

  #cursors(table: Tables): Promise<CursorRow[]> {
    return result(table("cursors").getAll(this.#range));
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

type Tables = (name: Table) => IDBObjectStore;

/** How many operations one request reads: a bound on memory. */
const READ_AT_ONCE = 256;

function putPayloads(
  table: Tables,
  client: string,
  first: number,
  payloads: readonly string[],
): void {
  for (const [i, payload] of payloads.entries()) {
    const row: OperationRow = { client, index: first + i, payload };
    table("operations").put(row);
  }
}

function openDatabase(name: string, onLost?: (error: Error) => void): Promise<BrowserDatabase> {
  return BrowserDatabase.open({
    name,
    onLost,
    create: (database) => {
      database.createObjectStore("own", { keyPath: ["slot", "place"] });
      database.createObjectStore("operations", { keyPath: ["client", "index"] });
      database.createObjectStore("cursors", { keyPath: ["slot", "client"] });
    },
  });
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
