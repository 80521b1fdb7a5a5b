/** What becomes of a slot of an IndexedDB store whose content is damaged: set aside, and taken over. */
import { type BrowserDatabase, result } from "../browser-database.ts";
import {
  type CursorRow,
  type OperationRow,
  type OwnRow,
  READ_AT_ONCE,
  rangeOf,
} from "./indexeddb-tables.ts";
import { isCursor, isOwnClient } from "./stored-values.ts";

/** What an `IndexedDbStore` found damaged, and did about it. */
export interface IndexedDbDamage {
  /** A clause that says what is damaged. */
  readonly reason: string;
  /** The slot of the database under which everything is kept as it was. */
  readonly slot: string;
  /** How many operations could be read. All are sent again. */
  readonly operations: number;
  /**
   * How many operations that the server had not acknowledged cannot be read; `undefined` where that
   * is not known.
   */
  readonly unsent: number | undefined;
}

/** A row of a table, whose members may be anything. */
type UncheckedRow<Of> = Readonly<Partial<Record<keyof Of, unknown>>>;

/** What is left of the operations of an own client id. */
interface Remains {
  /** Empty where the row does not say it. */
  readonly client: string;
  readonly readable: number;
  readonly unsent: number | undefined;
  /** Why it is damaged, if it is. */
  readonly reason: string | undefined;
}

/** A payload is base64url. */
const payload = /^[A-Za-z0-9_-]+$/;

/** Whether a row of `own` is one that a store has written. */
export function isOwn(row: UncheckedRow<OwnRow>, place = row.place): boolean {
  return row.length !== undefined && row.place === place && isOwnClient(row);
}

/**
 * Looks through a slot. Where anything of it is damaged, gives it another name in the database, and
 * begins the slot anew, with the operations that can be read and a new client id. The operations
 * themselves stay where they are.
 */
export async function repair(
  database: BrowserDatabase,
  slot: string,
): Promise<IndexedDbDamage | undefined> {
  const { own, cursors } = await rowsOf(database, slot);
  const remains: Remains[] = [];
  for (const [place, row] of own.entries()) remains.push(await remainsOf(database, row, place));
  const reason = cursors.every(isCursor)
    ? remains.find((one) => one.reason !== undefined)?.reason
    : "a cursor is damaged";
  if (reason === undefined) return undefined;
  const aside = `damaged ${slot} ${new Date().toISOString()}`;
  const logs = remains.filter(({ client }) => client !== "");
  await database.transaction(["own", "cursors"], "readwrite", async (table) => {
    for (const row of own) table("own").put({ ...row, slot: aside });
    for (const row of cursors) table("cursors").put({ ...row, slot: aside });
    table("own").delete(rangeOf(slot));
    table("cursors").delete(rangeOf(slot));
    // None of these client ids is continued: operations may be missing at the end.
    const fresh = { client: crypto.randomUUID(), readable: 0 };
    for (const [place, { client, readable: length }] of [...logs, fresh].entries()) {
      table("own").put({ slot, place, client, length, acknowledged: 0, highWater: length });
    }
  });
  const operations = logs.reduce((sum, { readable }) => sum + readable, 0);
  const unsent = remains.reduce((sum: number | undefined, one) => {
    return sum === undefined || one.unsent === undefined ? undefined : sum + one.unsent;
  }, 0);
  return { reason, slot: aside, operations, unsent };
}

function rowsOf(
  database: BrowserDatabase,
  slot: string,
): Promise<{
  readonly own: readonly UncheckedRow<OwnRow>[];
  readonly cursors: readonly UncheckedRow<CursorRow>[];
}> {
  return database.transaction(["own", "cursors"], "readonly", async (table) => ({
    own: await result(table("own").getAll(rangeOf(slot))),
    cursors: await result(table("cursors").getAll(rangeOf(slot))),
  }));
}

/** What is left of the operations that a row of `own` stands for. */
async function remainsOf(
  database: BrowserDatabase,
  row: UncheckedRow<OwnRow>,
  place: number,
): Promise<Remains> {
  const client = typeof row.client === "string" ? row.client : "";
  if (!isOwn(row, place)) {
    const readable = client === "" ? 0 : await countReadable(database, client, Infinity);
    return { client, readable, unsent: undefined, reason: "the list of client ids is damaged" };
  }
  const [length, acknowledged] = [Number(row.length), Number(row.acknowledged)];
  const readable = await countReadable(database, client, length);
  const isWhole = readable === length;
  const reason = isWhole ? undefined : `operation ${readable} of ${client} cannot be read`;
  return { client, readable, unsent: length - Math.max(readable, acknowledged), reason };
}

/** How many operations of a client id can be read, from the first on. */
async function countReadable(
  database: BrowserDatabase,
  client: string,
  length: number,
): Promise<number> {
  for (let first = 0; first < length; first += READ_AT_ONCE) {
    const last = Math.min(first + READ_AT_ONCE, length) - 1;
    const rows = await readAll(database, client, first, last);
    const readable = rows.findIndex((row, i) => !isOperation(row, first + i));
    if (readable !== -1) return first + readable;
    if (rows.length <= last - first) return first + rows.length;
  }
  return length;
}

/** The rows of operations in a range, up to the first whose value the browser has lost. */
async function readAll(
  database: BrowserDatabase,
  client: string,
  first: number,
  last: number,
): Promise<readonly UncheckedRow<OperationRow>[]> {
  const range = IDBKeyRange.bound([client, first], [client, last]);
  try {
    return await database.transaction(["operations"], "readonly", (table) =>
      result<UncheckedRow<OperationRow>[]>(table("operations").getAll(range)),
    );
  } catch (error) {
    if (!isLostValue(error)) throw error;
    if (first === last) return [];
    const middle = Math.floor((first + last) / 2);
    const before = await readAll(database, client, first, middle);
    if (before.length <= middle - first) return before;
    return [...before, ...(await readAll(database, client, middle + 1, last))];
  }
}

/** Whether a browser has a row and not its value. Any other error may pass. */
function isLostValue(error: unknown): boolean {
  return error instanceof DOMException && ["DataError", "NotReadableError"].includes(error.name);
}

/** Whether a row is the operation of an index. */
export function isOperation(row: UncheckedRow<OperationRow>, index: number): boolean {
  return row.index === index && typeof row.payload === "string" && payload.test(row.payload);
}
