/** What a slot of an IndexedDB store has received. All run within a transaction of their caller. */
import { result } from "../browser-database.ts";
import type { Cursor } from "../types.ts";
import type { CursorRow, ReceivedRow, Tables } from "./indexeddb-tables.ts";
import type { Received } from "./store.ts";
import { checkFollows } from "./stored-values.ts";

/** As `Store.receive`. */
export async function receive(
  table: Tables,
  slot: string,
  cursor: Cursor,
  payloads: readonly string[],
): Promise<void> {
  const { client, index } = cursor;
  const known = await result<CursorRow | undefined>(table("cursors").get([slot, client]));
  checkFollows(known, index, payloads.length);
  const row: ReceivedRow = { slot, client, first: index - payloads.length + 1, payloads };
  if (payloads.length > 0) table("received").put(row);
  table("cursors").put({ ...cursor, slot, ...(known?.start && { start: known.start }) });
}

/** As `Store.forget`. */
export async function forget(
  table: Tables,
  slot: string,
  client: string,
  start: Cursor | undefined,
): Promise<void> {
  table("received").delete(IDBKeyRange.bound([slot, client], [slot, client, []]));
  if (start === undefined) table("cursors").delete([slot, client]);
  else table("cursors").put({ ...start, slot, start });
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
