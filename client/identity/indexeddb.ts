/** Stores an identity in a browser as `CryptoKey` objects, whose bytes no page can read. */
import { BrowserDatabase, result } from "../browser-database.ts";
import type { Identity } from "../types.ts";

const TABLE = "identity";
const KEY = "current";

/**
 * Loads an identity; `undefined` if there is none. Rejects with the error of the database.
 *
 * @param name of the app, shared by all pages of an origin
 */
export function loadIdentity(name: string): Promise<Identity | undefined> {
  return withTable(name, "readonly", (table) => table.get(KEY));
}

/** Stores an identity durably, and replaces an earlier one of the same name. */
export async function saveIdentity(name: string, identity: Identity): Promise<void> {
  await withTable(name, "readwrite", (table) => table.put(identity, KEY));
}

/** Deletes an identity. Only the text from `createIdentity` brings it back. */
export async function forgetIdentity(name: string): Promise<void> {
  await withTable(name, "readwrite", (table) => table.delete(KEY));
}

async function withTable<Value>(
  name: string,
  mode: IDBTransactionMode,
  work: (table: IDBObjectStore) => IDBRequest<Value>,
): Promise<Value> {
  const database = await BrowserDatabase.open({
    name: `${name} identity`,
    create: (created) => created.createObjectStore(TABLE),
  });
  try {
    return await database.transaction([TABLE], mode, (table) => result(work(table(TABLE))));
  } finally {
    database.close();
  }
}
