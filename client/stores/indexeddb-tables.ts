/** The tables of an IndexedDB store. Rows of all slots and users are in the same ones. */
import { BrowserDatabase, result } from "../browser-database.ts";
import { StoreDamaged } from "../errors.ts";
import type { Cursor } from "../types.ts";
import type { OwnClient, Received } from "./store.ts";

/** An own client id; `place` orders them. */
export interface OwnRow {
  readonly slot: string;
  readonly place: number;
  readonly client: string;
  readonly length: number;
  readonly acknowledged: number;
  readonly highWater: number;
}

export interface OperationRow {
  readonly client: string;
  readonly index: number;
  readonly payload: string;
}

export interface CursorRow extends Cursor {
  readonly slot: string;
  /** The position before what is kept, where that does not begin with the first operation. */
  readonly start?: Cursor;
}

/** What was received of another installation at once. */
export interface ReceivedRow {
  readonly slot: string;
  readonly client: string;
  /** The index of the first payload. */
  readonly first: number;
  readonly payloads: readonly string[];
}

export type Table = "own" | "operations" | "drafts" | "received" | "cursors";

const KEYS: Readonly<Record<Table, readonly string[]>> = {
  own: ["slot", "place"],
  operations: ["client", "index"],
  /** Rows as those of operations, from the index on that the next operation has. */
  drafts: ["client", "index"],
  received: ["slot", "client", "first"],
  cursors: ["slot", "client"],
};

export const TABLES: readonly Table[] = ["own", "operations", "drafts", "received", "cursors"];

/** Gives a table in a transaction. */
export type Tables = (name: Table) => IDBObjectStore;

/** How many operations one request reads: a bound on memory. */
export const READ_AT_ONCE = 256;

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

/** Removes the operations of an own client id from an index on. */
export function cutOperations(table: Tables, row: OwnRow, length: number): void {
  const acknowledged = Math.min(row.acknowledged, length);
  const highWater = Math.min(row.highWater, length);
  table("own").put({ ...row, length, acknowledged, highWater });
  if (length >= row.length) return;
  // Not what may lie behind: it belongs to a slot that was set aside.
  const cut = IDBKeyRange.bound([row.client, length], [row.client, row.length - 1]);
  table("operations").delete(cut);
}

export function openTables(
  name: string,
  onLost?: (error: Error) => void,
): Promise<BrowserDatabase> {
  return BrowserDatabase.open({
    name,
    version: 2,
    onLost,
    create: (database) => {
      for (const table of TABLES) {
        if (database.objectStoreNames.contains(table)) continue;
        database.createObjectStore(table, { keyPath: [...KEYS[table]] });
      }
    },
  });
}

/** All rows of a client id, in the tables `operations` and `drafts`. */
export function rowsOf(client: string): IDBKeyRange {
  return IDBKeyRange.bound([client], [client, []]);
}

/** All rows of a slot, in the tables `own`, `received` and `cursors`. */
export function rangeOf(slot: string): IDBKeyRange {
  return IDBKeyRange.bound([slot], [slot, []]);
}

/** The payloads of the drafts of the last own client id. Throws `StoreDamaged`. */
export async function draftsAfter(table: Tables, own: OwnClient | undefined): Promise<string[]> {
  if (own === undefined) return [];
  const rows: OperationRow[] = await result(table("drafts").getAll(rowsOf(own.client)));
  if (rows.some(({ index }, i) => index !== own.length + i)) {
    throw new StoreDamaged(`a draft of ${own.client} cannot be read: load the page again`);
  }
  return rows.map(({ payload }) => payload);
}

/** As `Store.readReceived`: what fits of the row in which the first payload is. */
export async function readReceived(
  table: Tables,
  slot: string,
  client: string,
  first: number,
  characters: number,
): Promise<Received> {
  const upTo = IDBKeyRange.bound([slot, client], [slot, client, first]);
  const [at] = await keysOf(table("received").openKeyCursor(upTo, "prev"));
  const from = IDBKeyRange.bound(at ?? [slot, client], [slot, client, []]);
  const [row] = await result<ReceivedRow[]>(table("received").getAll(from, 1));
  if (row === undefined) return { first, payloads: [] };
  const begin = Math.max(first, row.first);
  const payloads: string[] = [];
  let room = characters;
  for (const payload of row.payloads.slice(begin - row.first)) {
    room -= payload.length;
    if (room < 0 && payloads.length > 0) break;
    payloads.push(payload);
  }
  return { first: begin, payloads };
}

async function keysOf(request: IDBRequest<IDBCursor | null>): Promise<IDBValidKey[]> {
  const cursor = await result(request);
  return cursor === null ? [] : [cursor.primaryKey];
}
