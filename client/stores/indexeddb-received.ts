/** What a slot of an IndexedDB store has received. All run within a transaction of their caller. */
import { result } from "../browser-database.ts";
import { StoreDamaged } from "../errors.ts";
import type { Cursor } from "../types.ts";
import type { CursorRow, ReceivedRow, Tables } from "./indexeddb-tables.ts";
import type { Received } from "./store.ts";
import { checkFollows } from "./stored-values.ts";

/** What browsers call it. If it was another failure that may pass, the server sends more than it had to. */
const LOST = ["DataError", "NotReadableError", "UnknownError"];

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

/** As `Store.readReceived`: what fits of the row in which the first payload is. Throws `StoreDamaged`. */
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
  const row = await rowIn(table, from);
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

/** The first row of a range. Throws `StoreDamaged` where its value is lost, whole or in part. */
async function rowIn(table: Tables, range: IDBKeyRange): Promise<ReceivedRow | undefined> {
  const request: IDBRequest<(ReceivedRow | null)[]> = table("received").getAll(range, 1);
  const [row] = await result(request).catch((error: unknown) => {
    if (isLost(error)) return [null];
    throw error;
  });
  if (row === null) throw new StoreDamaged("what was received of a client id cannot be read");
  return row;
}

/**
 * Whether a value cannot be read. Chromium keeps a large one in a file, and says so where that is gone or
 * cut; of one with other bytes it makes `null`.
 */
function isLost(error: unknown): boolean {
  return error instanceof DOMException && LOST.includes(error.name);
}

async function keysOf(request: IDBRequest<IDBCursor | null>): Promise<IDBValidKey[]> {
  const cursor = await result(request);
  return cursor === null ? [] : [cursor.primaryKey];
}
