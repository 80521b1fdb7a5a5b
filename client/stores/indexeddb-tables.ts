/** The tables of an IndexedDB store. Rows of all slots and users are in the same ones. */
import { BrowserDatabase } from "../browser-database.ts";
import type { Cursor } from "../types.ts";

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
}

export type Table = "own" | "operations" | "cursors";

export const TABLES: readonly Table[] = ["own", "operations", "cursors"];

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

export function openTables(
  name: string,
  onLost?: (error: Error) => void,
): Promise<BrowserDatabase> {
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

/** All rows of a slot, in the tables `own` and `cursors`. */
export function rangeOf(slot: string): IDBKeyRange {
  return IDBKeyRange.bound([slot], [slot, []]);
}
