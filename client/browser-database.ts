/** IndexedDB as promises, on a connection that is opened again where the browser closes it. */
import { StoreDamaged } from "./errors.ts";

/** How a database is opened. */
export interface DatabaseOptions {
  readonly name: string;
  /** 1 by default. */
  readonly version?: number;
  /** Makes the tables that a new database, or one of a lower version, lacks. */
  readonly create: (database: IDBDatabase, transaction: IDBTransaction) => void;
  /**
   * Called when the connection is gone and no new one can be had: the database was deleted, another
   * version of the app uses it, or the browser does not open it.
   */
  readonly onLost?: ((error: Error) => void) | undefined;
}

/**
 * A database of the browser. A browser may close a connection at any time: Safari does after a time
 * in the background, and a transaction then throws `InvalidStateError`, with or without the event
 * `close` before.
 */
export class BrowserDatabase {
  readonly #options: DatabaseOptions;
  #connection: IDBDatabase;
  #reopening: Promise<void> | undefined;
  /** Why it must not be opened again: closed by its user, or no longer the same database. */
  #ended: Error | undefined;

  private constructor(options: DatabaseOptions, connection: IDBDatabase) {
    this.#options = options;
    this.#connection = connection;
    this.#watch();
  }

  /** Opens or creates a database. Rejects with the error of the browser. */
  static async open(options: DatabaseOptions): Promise<BrowserDatabase> {
    const { name, version, create } = options;
    return new BrowserDatabase(options, await connect(name, version, create));
  }

  /**
   * Runs work in one transaction. The work must await nothing but its requests: a transaction ends
   * when it has none. Rejects with what the work throws and with the error of the browser; nothing
   * was changed then.
   *
   * @param durability `strict`: it ends when the disk has it, not the operating system (Indexed
   *   Database API 3.0). What is `relaxed` may be lost with the power, and in part even if what was
   *   written after it is not: a browser keeps large values in files of their own
   */
  async transaction<Table extends string, Result>(
    tables: readonly Table[],
    mode: IDBTransactionMode,
    work: (table: (name: Table) => IDBObjectStore) => Promise<Result>,
    durability: IDBTransactionDurability = "strict",
  ): Promise<Result> {
    const transaction = await this.#begin(tables, mode, { durability });
    const done = new Promise<void>((resolve, reject) => {
      transaction.oncomplete = () => resolve();
      transaction.onabort = () =>
        reject(transaction.error ?? new Error("the transaction was aborted"));
    });
    const working = work((name) => transaction.objectStore(name)).catch((error: unknown) => {
      // After an error of the database it has ended already, and `done` rejects.
      if (transaction.error === null) transaction.abort();
      throw error;
    });
    const [value] = await Promise.all([working, done]);
    return value;
  }

  /** Closes the connection, once running transactions have ended. Later calls reject. */
  close(): void {
    this.#ended ??= new Error("the database is closed");
    this.#connection.close();
  }

  /** Begins a transaction. It stays active for the microtasks that follow. */
  async #begin(
    tables: readonly string[],
    mode: IDBTransactionMode,
    options: IDBTransactionOptions,
  ): Promise<IDBTransaction> {
    if (this.#ended !== undefined) throw this.#ended;
    try {
      return this.#connection.transaction(tables, mode, options);
    } catch (error) {
      if (!isClosed(error)) throw error;
    }
    await this.#reopen();
    return this.#connection.transaction(tables, mode, options);
  }

  #watch(): void {
    this.#connection.onclose = () => {
      // The app learns of a failure by `onLost`.
      this.#reopen().catch(() => undefined);
    };
    this.#connection.onversionchange = ({ newVersion }) => {
      const { name } = this.#options;
      const error =
        newVersion === null
          ? new StoreDamaged(`the database ${name} of this browser was deleted`)
          : new Error(`another version of this app uses the database ${name} of this browser`);
      this.#lose(error);
      // An open connection would block the deletion or the upgrade.
      this.#connection.close();
    };
  }

  #reopen(): Promise<void> {
    this.#reopening ??= this.#connect().finally(() => {
      this.#reopening = undefined;
    });
    return this.#reopening;
  }

  async #connect(): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    const { name, version, onLost } = this.#options;
    try {
      const connection = await connect(name, version, () => {
        throw new StoreDamaged(`the database ${name} of this browser was deleted`);
      });
      if (this.#ended !== undefined) {
        connection.close();
        throw this.#ended;
      }
      this.#connection = connection;
      this.#watch();
    } catch (error) {
      if (this.#ended !== undefined) throw this.#ended;
      const reason = error instanceof Error ? error : new Error(String(error));
      // A deleted database must not come back empty, as if nothing had been in it.
      if (reason instanceof StoreDamaged) this.#lose(reason);
      else onLost?.(reason);
      throw reason;
    }
  }

  #lose(error: Error): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    this.#options.onLost?.(error);
  }
}

/** The result of a request. */
export function result<Value>(request: IDBRequest<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** @param create called for a new database; what it throws undoes that and is thrown */
async function connect(
  name: string,
  version = 1,
  create: DatabaseOptions["create"],
): Promise<IDBDatabase> {
  const request = indexedDB.open(name, version);
  let failure: { readonly error: unknown } | undefined;
  request.onupgradeneeded = () => {
    try {
      if (request.transaction !== null) create(request.result, request.transaction);
    } catch (error) {
      failure = { error };
      request.transaction?.abort();
    }
  };
  try {
    return await result(request);
  } catch (error) {
    throw failure === undefined ? error : failure.error;
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof DOMException && error.name === "InvalidStateError";
}
