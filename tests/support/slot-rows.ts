/** The rows of IndexedDB stores, for tests that look at them or damage them. */

export type Tables = (name: string) => IDBObjectStore;

/** What a repair keeps. Of the others, it keeps what was received nowhere. */
const KEPT = ["own", "operations", "cursors"];

/** Changes rows behind the store's back. */
export async function change(name: string, work: (table: Tables) => void): Promise<void> {
  await inTables(name, "readwrite", async (table) => work(table));
}

/** The log of a slot, as a tab left it before tabs shared one. */
export function putLog(
  table: Tables,
  slot: string,
  client: string,
  payloads: readonly string[],
): void {
  const { length } = payloads;
  table("own").put({ slot, place: 0, client, length, acknowledged: 0, highWater: 0 });
  for (const [index, payload] of payloads.entries()) {
    table("operations").put({ client, index, payload });
  }
}

export function rowsOf(name: string): Promise<object[]> {
  return inTables(name, "readonly", async (table) => {
    const all: object[] = [];
    for (const one of KEPT) {
      all.push(...(await done<object[]>(table(one).getAll())));
    }
    return all;
  });
}

async function inTables<Result>(
  name: string,
  mode: IDBTransactionMode,
  work: (table: Tables) => Promise<Result>,
): Promise<Result> {
  const database = await done(indexedDB.open(name));
  try {
    const transaction = database.transaction([...database.objectStoreNames], mode);
    const result = await work((table) => transaction.objectStore(table));
    await new Promise((resolve, reject) => {
      transaction.oncomplete = resolve;
      transaction.onabort = reject;
      transaction.commit();
    });
    return result;
  } finally {
    database.close();
  }
}

function done<Value>(request: IDBRequest<Value>): Promise<Value> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export function includes(range: unknown, key: IDBValidKey): boolean {
  return range instanceof IDBKeyRange && range.includes(key);
}
