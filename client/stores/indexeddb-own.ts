/** The own operations of a slot of an IndexedDB store. All run within a transaction of their caller. */
import { result } from "../browser-database.ts";
import { StoreDamaged } from "../errors.ts";
import { isOperation } from "./indexeddb-repair.ts";
import {
  type OperationRow,
  type OwnRow,
  putPayloads,
  READ_AT_ONCE,
  rangeOf,
  rowsOf,
  type Tables,
} from "./indexeddb-tables.ts";
import type { Move, Moved, OwnClient } from "./store.ts";

/** The client ids of a slot, in order. */
export function ownRows(table: Tables, slot: string): Promise<OwnRow[]> {
  return result(table("own").getAll(rangeOf(slot)));
}

async function rowOf(table: Tables, slot: string, client: string): Promise<OwnRow> {
  const row = (await ownRows(table, slot)).find((one) => one.client === client);
  if (row === undefined) throw new RangeError(`${client} is no client id of this store`);
  return row;
}

/** Begins a client id with operations. */
export async function beginOwn(
  table: Tables,
  slot: string,
  client: string,
  payloads: readonly string[],
  moved?: Moved,
): Promise<void> {
  const { length: place } = await ownRows(table, slot);
  const { length } = payloads;
  const begun = { slot, place, client, length, acknowledged: 0, highWater: 0 };
  const row: OwnRow = { ...begun, ...(moved && { moved }) };
  table("own").put(row);
  putPayloads(table, client, 0, payloads);
}

/** As `Store.append`. */
export async function appendOwn(
  table: Tables,
  slot: string,
  client: string,
  first: number,
  payloads: readonly string[],
): Promise<void> {
  const row = await rowOf(table, slot, client);
  if (row.length !== first) throw new RangeError(`the next operation is ${row.length}`);
  putPayloads(table, client, first, payloads);
  table("drafts").delete(rowsOf(client));
  table("own").put({ ...row, length: first + payloads.length });
}

/** As `Store.appendDraft`. */
export async function appendDraft(
  table: Tables,
  slot: string,
  { client, index, payload }: OperationRow,
): Promise<void> {
  const { length } = await rowOf(table, slot, client);
  const key = (await result(table("drafts").openKeyCursor(rowsOf(client), "prev")))?.primaryKey;
  const next = Array.isArray(key) ? Number(key[1]) + 1 : length;
  if (index !== next) throw new RangeError(`the next draft is ${next}`);
  table("drafts").put({ client, index, payload });
}

/** As `Store.read`. */
export async function readOwn(
  table: Tables,
  slot: string,
  client: string,
  range: { readonly first: number; readonly count: number; readonly characters: number },
): Promise<string[]> {
  const { first, count } = range;
  const payloads: string[] = [];
  let room = range.characters;
  // What may lie behind belongs to a slot that was set aside.
  const end = Math.min(first + count, (await rowOf(table, slot, client)).length);
  for (let at = first; at < end; at += READ_AT_ONCE) {
    const last = Math.min(at + READ_AT_ONCE, end) - 1;
    const keys = IDBKeyRange.bound([client, at], [client, last]);
    const rows: OperationRow[] = await result(table("operations").getAll(keys));
    for (let index = at; index <= last; index++) {
      const row = rows[index - at];
      // Another one in its place would be sent under its index.
      if (row === undefined || !isOperation(row, index)) {
        throw new StoreDamaged(
          `operation ${index} of ${client} cannot be read: load the page again`,
        );
      }
      room -= row.payload.length;
      if (room < 0 && payloads.length > 0) return payloads;
      payloads.push(row.payload);
    }
  }
  return payloads;
}

/** As `Store.acknowledge`, without what was delivered. Returns false if nothing changes. */
export async function acknowledgeOwn(
  table: Tables,
  slot: string,
  client: string,
  acknowledged: number,
): Promise<boolean> {
  const row = await rowOf(table, slot, client);
  if (row.acknowledged === acknowledged) return false;
  const highWater = Math.max(row.highWater, acknowledged);
  table("own").put({ ...row, acknowledged, highWater });
  return true;
}

/** As `Store.move`. */
export async function moveOwn(
  table: Tables,
  slot: string,
  { from, length, to, payloads }: Move,
): Promise<void> {
  await cutOwn(table, slot, from, length);
  const inUse = (await ownRows(table, slot)).at(-1);
  if (inUse !== undefined) table("drafts").delete(rowsOf(inUse.client));
  await beginOwn(table, slot, to, payloads, { from, first: length, count: payloads.length });
}

/** As `Store.cut`. */
export async function cutOwn(
  table: Tables,
  slot: string,
  client: string,
  length: number,
): Promise<void> {
  const row = await rowOf(table, slot, client);
  const acknowledged = Math.min(row.acknowledged, length);
  const highWater = Math.min(row.highWater, length);
  table("own").put({ ...row, length, acknowledged, highWater });
  if (length >= row.length) return;
  // Not what may lie behind: it belongs to a slot that was set aside.
  const cut = IDBKeyRange.bound([client, length], [client, row.length - 1]);
  table("operations").delete(cut);
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
