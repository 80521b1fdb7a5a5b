/** What becomes of a slot of an IndexedDB store whose content is damaged: set aside, and taken over. */
import { type BrowserDatabase, result } from "../browser-database.ts";
import { forgetDelivered } from "./indexeddb-delivered.ts";
import {
  type CursorRow,
  type OperationRow,
  type OwnRow,
  putPayloads,
  READ_AT_ONCE,
  rangeOf,
  rowsOf,
  TABLES,
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
   * How many operations and drafts that the server had not acknowledged cannot be read, at least;
   * `undefined` where nothing of that is known.
   */
  readonly unsent: number | undefined;
}

/** A row of a table, whose members may be anything. */
type UncheckedRow<Of> = Readonly<Partial<Record<keyof Of, unknown>>>;

/** What is left of the operations of an own client id. */
interface Remains {
  /** Empty where the row does not say it. */
  readonly client: string;
  /** Operations, from the first on. */
  readonly readable: number;
  /** The drafts that follow them. */
  readonly drafts: readonly string[];
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
  const { own, cursors } = await slotRows(database, slot);
  const remains: Remains[] = [];
  for (const [place, row] of own.entries()) remains.push(await remainsOf(database, row, place));
  const reason = cursors.every(isCursor)
    ? remains.find((one) => one.reason !== undefined)?.reason
    : "a cursor is damaged";
  if (reason === undefined) return undefined;
  const aside = `damaged ${slot} ${new Date().toISOString()}`;
  const logs = remains.filter(({ client }) => client !== "");
  await database.transaction(TABLES, "readwrite", async (table) => {
    for (const row of own) table("own").put({ ...row, slot: aside });
    for (const row of cursors) table("cursors").put({ ...row, slot: aside });
    table("own").delete(rangeOf(slot));
    table("cursors").delete(rangeOf(slot));
    table("received").delete(rangeOf(slot));
    table("snapshots").delete(rangeOf(slot));
    const [fingerprint = "", number] = slot.split(" ");
    if (number === "0") forgetDelivered(table, fingerprint);
    // None of these client ids is continued: operations may be missing at the end.
    const fresh = { client: crypto.randomUUID(), readable: 0, drafts: [] };
    for (const [place, { client, readable, drafts }] of [...logs, fresh].entries()) {
      const length = readable + drafts.length;
      putPayloads(table, client, readable, drafts);
      table("drafts").delete(rowsOf(client));
      table("own").put({ slot, place, client, length, acknowledged: 0, highWater: length });
    }
  });
  const operations = logs.reduce((sum, { readable, drafts }) => sum + readable + drafts.length, 0);
  const unsent = remains.reduce((sum: number | undefined, one) => {
    return sum === undefined || one.unsent === undefined ? undefined : sum + one.unsent;
  }, 0);
  return { reason, slot: aside, operations, unsent };
}

function slotRows(
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
    const { drafts } = await draftsAfter(database, client, readable);
    const reason = "the list of client ids is damaged";
    return { client, readable, drafts, unsent: undefined, reason };
  }
  const [length, acknowledged] = [Number(row.length), Number(row.acknowledged)];
  const readable = await countReadable(database, client, length);
  const { drafts, lost } = await draftsAfter(database, client, readable);
  const unsent = length - Math.max(readable, acknowledged) + lost;
  const draft = lost > 0 ? "a draft" : undefined;
  const fault = readable < length ? `operation ${readable}` : draft;
  const reason = fault && `${fault} of ${client} cannot be read`;
  return { client, readable, drafts, unsent, reason };
}

/** The drafts of a client id that follow its operations, up to the first that cannot be read. */
async function draftsAfter(
  database: BrowserDatabase,
  client: string,
  length: number,
): Promise<{ readonly drafts: readonly string[]; readonly lost: number }> {
  const count = await database.transaction(["drafts"], "readonly", (table) =>
    result(table("drafts").count(rowsOf(client))),
  );
  if (count === 0) return { drafts: [], lost: 0 };
  const last = length + count - 1;
  const rows = await readAll(database, "drafts", client, length, last);
  const end = rows.findIndex((row, i) => !isOperation(row, length + i));
  const readable = end === -1 ? rows : rows.slice(0, end);
  const drafts = readable.map(({ payload }) => String(payload));
  return { drafts, lost: count - drafts.length };
}

/** How many operations of a client id can be read, from the first on. */
async function countReadable(
  database: BrowserDatabase,
  client: string,
  length: number,
): Promise<number> {
  for (let first = 0; first < length; first += READ_AT_ONCE) {
    const last = Math.min(first + READ_AT_ONCE, length) - 1;
    const rows = await readAll(database, "operations", client, first, last);
    const readable = rows.findIndex((row, i) => !isOperation(row, first + i));
    if (readable !== -1) return first + readable;
    if (rows.length <= last - first) return first + rows.length;
  }
  return length;
}

/** The rows of operations in a range, up to the first whose value the browser has lost. */
async function readAll(
  database: BrowserDatabase,
  name: "operations" | "drafts",
  client: string,
  first: number,
  last: number,
): Promise<readonly UncheckedRow<OperationRow>[]> {
  const range = IDBKeyRange.bound([client, first], [client, last]);
  try {
    return await database.transaction([name], "readonly", (table) =>
      result<UncheckedRow<OperationRow>[]>(table(name).getAll(range)),
    );
  } catch (error) {
    if (!isLostValue(error)) throw error;
    if (first === last) return [];
    const middle = Math.floor((first + last) / 2);
    const before = await readAll(database, name, client, first, middle);
    if (before.length <= middle - first) return before;
    return [...before, ...(await readAll(database, name, client, middle + 1, last))];
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
