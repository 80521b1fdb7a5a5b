import type { Cursor, Identity } from "../types.ts";
import type { Move, OwnClient, Store, StoreState } from "./store.ts";

/** An own client, in the order of `place`. */
interface OwnRow {
  readonly slot: string;
  readonly place: number;
  readonly client: string;
  readonly length: number;
  readonly acknowledged: number;
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

/** Wait for the disk, and not only for the system (Indexed Database API 3.0). */
const STRICT: IDBTransactionOptions = { durability: "strict" };

/**
 * Keeps a client in a browser. Two tabs must not share a client id, so each has a slot of the
 * database to itself, by a Web Lock that the browser ends with the tab. The first tab gets slot 0,
 * as after a reload; a second tab at the same time gets slot 1, with a client id and cursors of its
 * own.
 */
export class IndexedDbStore implements Store {
  readonly #database: IDBDatabase;
  readonly #name: string;
  readonly #slot: string;
  readonly #number: number;
  readonly #release: () => void;

  private constructor(
    database: IDBDatabase,
    name: string,
    slot: { readonly key: string; readonly number: number; readonly release: () => void },
  ) {
    this.#database = database;
    this.#name = name;
    this.#slot = slot.key;
    this.#number = slot.number;
    this.#release = slot.release;
  }

  /** @param name of the database, and of the locks; the app's own. Users share it safely. */
  static async open(
    name: string,
    { fingerprint }: Pick<Identity, "fingerprint">,
  ): Promise<IndexedDbStore> {
    const user = `${name} ${fingerprint}`;
    for (let number = 0; ; number++) {
      const release = await claim(`${user} ${number}`);
      if (release === undefined) continue;
      try {
        const slot = { key: `${fingerprint} ${number}`, number, release };
        return new IndexedDbStore(await openDatabase(name), user, slot);
      } catch (error) {
        release();
        throw error;
      }
    }
  }

  /** Which of the tabs that are open now this is: 0 for the first. */
  get slot(): number {
    return this.#number;
  }

  load(): Promise<StoreState> {
    return this.#transaction("readonly", async (table) => ({
      own: (await this.#own(table)).map(({ client, length, acknowledged }): OwnClient => {
        return { client, length, acknowledged };
      }),
      cursors: (await this.#cursors(table)).map(({ client, index, hash }): Cursor => {
        return { client, index, hash };
      }),
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
      table("own").put({ ...(await this.#row(table, client)), acknowledged });
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
      table("own").put({ ...row, length, acknowledged });
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
      const release = await claim(`${this.#name} ${number}`);
      if (release === undefined) continue;
      const database = await openDatabase(this.#database.name);
      stores.push(new IndexedDbStore(database, this.#name, { key, number, release }));
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
    if (row === undefined) throw new RangeError(`${client} is no client of this store`);
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
    };
    table("own").put(row);
    putPayloads(table, client, 0, payloads);
  }

  /**
   * Runs work in one transaction; it must wait for nothing but requests of it. Nothing is changed
   * unless all of it is.
   */
  #transaction<Result>(
    mode: IDBTransactionMode,
    work: (table: Tables) => Promise<Result>,
  ): Promise<Result> {
    const transaction = this.#database.transaction(TABLES, mode, STRICT);
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error("it was given up"));
    });
    const working = work((name) => transaction.objectStore(name)).catch((error: unknown) => {
      // It may have ended by itself already, which `done` tells.
      if (transaction.error === null) transaction.abort();
      throw error;
    });
    return Promise.all([working, done]).then(([value]) => value);
  }
}

type Tables = (name: Table) => IDBObjectStore;

/** Operations read from the database at once. */
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

function openDatabase(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => {
    const database = request.result;
    database.createObjectStore("own", { keyPath: ["slot", "place"] });
    database.createObjectStore("operations", { keyPath: ["client", "index"] });
    database.createObjectStore("cursors", { keyPath: ["slot", "client"] });
  };
  return result(request);
}

function result<Value>(request: IDBRequest<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Takes a Web Lock, and returns what lets go of it; `undefined` when somebody has it. */
function claim(name: string): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, { ifAvailable: true }, (lock) => {
        if (lock === null) return resolve(undefined);
        return new Promise<void>((release) => resolve(release));
      })
      .catch(reject);
  });
}
