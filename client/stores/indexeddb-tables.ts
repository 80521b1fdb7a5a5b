/** The tables of an IndexedDB store. Rows of all slots and users are in the same ones. */
import { BrowserDatabase } from "../browser-database.ts";
import type { Cursor } from "../types.ts";
import type { OwnClient, Place, StoredSnapshot } from "./store.ts";

/** An own client id; `place` orders them. */
export interface OwnRow extends OwnClient {
  readonly slot: string;
  readonly place: number;
}

/** An operation of an own client id, or a draft. */
export interface OperationRow {
  readonly client: string;
  readonly index: number;
  readonly payload: string;
}

/** Up to where a slot has the operations of another client. */
export interface CursorRow extends Cursor {
  readonly slot: string;
  /** The position before what is kept, where that does not begin with the first operation. */
  readonly start?: Cursor;
}

/** Up to where the entries of a client id were delivered in a tab. */
export interface DeliveredRow {
  /** That of the tab. */
  readonly slot: string;
  readonly client: string;
  /** Of an own client id. */
  readonly place?: Place;
  /** Of another one. */
  readonly cursor?: Cursor;
}

/** How often a log was changed: by that, a tab sees that another one has changed it. */
export interface ChangesRow {
  readonly slot: string;
  readonly count: number;
}

/** What was received of another installation at once. */
export interface ReceivedRow {
  readonly slot: string;
  readonly client: string;
  /** The index of the first payload. */
  readonly first: number;
  readonly payloads: readonly string[];
}

/** The snapshot that a log keeps. Its payload is a row of its own, which is read only when it is wanted. */
export type SnapshotRow =
  | (StoredSnapshot & { readonly slot: string; readonly part: "name" })
  | { readonly slot: string; readonly part: "payload"; readonly payload: string };

/** The name of a table. */
export type Table =
  | "own"
  | "operations"
  | "drafts"
  | "received"
  | "cursors"
  | "delivered"
  | "changes"
  | "snapshots";

const KEYS: Readonly<Record<Table, readonly string[]>> = {
  own: ["slot", "place"],
  operations: ["client", "index"],
  /** Rows as those of operations, from the index on that the next operation has. */
  drafts: ["client", "index"],
  received: ["slot", "client", "first"],
  cursors: ["slot", "client"],
  delivered: ["slot", "client"],
  changes: ["slot"],
  snapshots: ["slot", "part"],
};

/** The names of all tables. */
export const TABLES: readonly Table[] = [
  "own",
  "operations",
  "drafts",
  "received",
  "cursors",
  "delivered",
  "changes",
  "snapshots",
];

/** Gives a table in a transaction. */
export type Tables = (name: Table) => IDBObjectStore;

/** How many operations one request reads: a bound on memory. */
export const READ_AT_ONCE = 256;

/** Stores payloads of an own client id, from the index `first` on. */
export function putPayloads(
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

/**
 * Opens the database of this name, and makes the tables that it does not have. `onLost` is called if the
 * browser closes it.
 */
export function openTables(
  name: string,
  onLost?: (error: Error) => void,
): Promise<BrowserDatabase> {
  return BrowserDatabase.open({
    name,
    version: 4,
    onLost,
    create: (database, transaction) => {
      const names = database.objectStoreNames;
      const isOld = names.contains("cursors") && !names.contains("delivered");
      for (const table of TABLES) {
        if (database.objectStoreNames.contains(table)) continue;
        database.createObjectStore(table, { keyPath: [...KEYS[table]] });
      }
      if (isOld) keepDelivered((table) => transaction.objectStore(table));
    },
  });
}

/** Before version 3, only one tab had a slot open, and what it stored of others was delivered. */
function keepDelivered(table: Tables): void {
  const delivered = table("delivered");
  const cursors: IDBRequest<CursorRow[]> = table("cursors").getAll();
  cursors.onsuccess = () => {
    for (const { slot, start: _, ...cursor } of cursors.result) {
      // A row that is damaged is repaired later.
      if (isOfTab(slot, cursor.client)) delivered.put({ slot, client: cursor.client, cursor });
    }
  };
  const own: IDBRequest<OwnRow[]> = table("own").getAll();
  own.onsuccess = () => {
    for (const { slot, client, delivered: place } of own.result) {
      if (place && isOfTab(slot, client)) delivered.put({ slot, client, place });
    }
  };
}

function isOfTab(slot: unknown, client: unknown): boolean {
  return typeof slot === "string" && slot.endsWith(" 0") && typeof client === "string";
}

/** All rows of a client id, in the tables `operations` and `drafts`. */
export function rowsOf(client: string): IDBKeyRange {
  return IDBKeyRange.bound([client], [client, []]);
}

/** All rows of a slot, in the tables `own`, `received`, `cursors` and `delivered`. */
export function rangeOf(slot: string): IDBKeyRange {
  return IDBKeyRange.bound([slot], [slot, []]);
}
