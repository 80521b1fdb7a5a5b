/** An identity in a browser: its keys are kept as they are, and cannot be read by the page. */
import type { Identity } from "../types.ts";

const TABLE = "identity";
const KEY = "current";

/** The identity kept under a name, if there is one. */
export function loadIdentity(name: string): Promise<Identity | undefined> {
  return withTable(name, "readonly", (table) => table.get(KEY));
}

/** Keeps an identity under a name, in place of the one that was there. */
export async function saveIdentity(name: string, identity: Identity): Promise<void> {
  await withTable(name, "readwrite", (table) => table.put(identity, KEY));
}

/** Forgets it. Only the text made by `createIdentity` brings it back. */
export async function forgetIdentity(name: string): Promise<void> {
  await withTable(name, "readwrite", (table) => table.delete(KEY));
}

function withTable<Value>(
  name: string,
  mode: IDBTransactionMode,
  work: (table: IDBObjectStore) => IDBRequest<Value>,
): Promise<Value> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(`${name} identity`, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(TABLE);
    opening.onerror = () => reject(opening.error);
    opening.onsuccess = () => {
      const database = opening.result;
      const transaction = database.transaction(TABLE, mode, { durability: "strict" });
      const request = work(transaction.objectStore(TABLE));
      transaction.oncomplete = () => {
        database.close();
        resolve(request.result);
      };
      transaction.onabort = () => {
        database.close();
        reject(transaction.error);
      };
    };
  });
}
