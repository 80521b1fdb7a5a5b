/**
 * The database in which the browser keeps what it received. Each call opens it anew, because a
 * browser may close a connection at any time.
 */
import type { Rows, StoredRow } from "../received.ts";

const TABLE = "rows";

export class ReceivedTable implements Rows {
  readonly #name: string;

  /** @param name of the database */
  constructor(name: string) {
    this.#name = name;
  }

  async read(): Promise<StoredRow[]> {
    const rows = await this.#run<StoredRow[]>("readonly", (table) => table.getAll());
    return rows.map(({ place, row }) => ({ place, row: String(row) }));
  }

  async begin(first: string, instead: string | undefined): Promise<void> {
    await this.#run<StoredRow[]>("readwrite", (table) => {
      const reading = table.getAll(null, 1);
      reading.onsuccess = () => {
        const [present] = reading.result;
        if ((present && String(present.row)) !== instead) return;
        table.clear();
        table.add({ row: first });
      };
      return reading;
    });
  }

  async append(row: string): Promise<void> {
    await this.#run("readwrite", (table) => table.add({ row }));
  }

  async cut(place: number): Promise<void> {
    await this.#run("readwrite", (table) => table.delete(IDBKeyRange.lowerBound(place)));
  }

  async clear(): Promise<void> {
    await this.#run("readwrite", (table) => table.clear());
  }

  /** Resolves with the result of the request once the transaction has ended. */
  async #run<Value>(
    mode: IDBTransactionMode,
    work: (table: IDBObjectStore) => IDBRequest<Value>,
  ): Promise<Value> {
    const database = await open(this.#name);
    try {
      const transaction = database.transaction(TABLE, mode);
      return await new Promise((resolve, reject) => {
        transaction.onabort = () => reject(transaction.error ?? new Error("it was aborted"));
        const request = work(transaction.objectStore(TABLE));
        transaction.oncomplete = () => resolve(request.result);
      });
    } finally {
      database.close();
    }
  }
}

function open(name: string): Promise<IDBDatabase> {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore(TABLE, { keyPath: "place", autoIncrement: true });
  };
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
