/** Up to where a tab was given entries. All run within a transaction of their caller. */
import { result } from "../browser-database.ts";
import type { Cursor } from "../types.ts";
import { type ChangesRow, type DeliveredRow, rangeOf, type Tables } from "./indexeddb-tables.ts";
import type { Place } from "./store.ts";
import { isCursor, isPlace } from "./stored-values.ts";

/** What was delivered in a tab, by client id. What is damaged of it is delivered again. */
export interface Delivered {
  readonly isNew: boolean;
  readonly places: ReadonlyMap<string, Place>;
  readonly cursors: readonly Cursor[];
}

/** Reads what was delivered in a tab. */
export async function readDelivered(table: Tables, tab: string): Promise<Delivered> {
  const rows: DeliveredRow[] = await result(table("delivered").getAll(rangeOf(tab)));
  const places = rows.flatMap(({ client, place }) =>
    isPlace(place) ? [[client, place] as const] : [],
  );
  const cursors = rows.flatMap(({ cursor }) => (isCursor(cursor) ? [cursor] : []));
  return { isNew: rows.length === 0, places: new Map(places), cursors };
}

/** A tab was given own entries up to a place. */
export async function putPlace(
  table: Tables,
  tab: string,
  client: string,
  place: Place,
): Promise<void> {
  const row = await result<DeliveredRow | undefined>(table("delivered").get([tab, client]));
  table("delivered").put({ ...row, slot: tab, client, place });
}

/** A tab was given the operations of others up to a position, or beyond it before. */
export async function putCursor(table: Tables, tab: string, cursor: Cursor): Promise<void> {
  const { client, index } = cursor;
  const row = await result<DeliveredRow | undefined>(table("delivered").get([tab, client]));
  if ((row?.cursor?.index ?? -1) < index) {
    table("delivered").put({ ...row, slot: tab, client, cursor });
  }
}

/** A tab was given the operations of others up to these positions, and no others. */
export async function restartCursors(
  table: Tables,
  tab: string,
  cursors: readonly Cursor[],
): Promise<void> {
  const rows = await result<DeliveredRow[]>(table("delivered").getAll(rangeOf(tab)));
  for (const { cursor: _, ...row } of rows) table("delivered").put(row);
  for (const cursor of cursors) await putCursor(table, tab, cursor);
}

/** Nothing counts as delivered any more, in any tab of a user. */
export function forgetDelivered(table: Tables, fingerprint: string): void {
  table("delivered").delete(IDBKeyRange.bound([`${fingerprint} `], [`${fingerprint} \uffff`]));
}

/** How often a log was changed. */
export async function readChanges(table: Tables, slot: string): Promise<number> {
  return (await result<ChangesRow | undefined>(table("changes").get([slot])))?.count ?? 0;
}
