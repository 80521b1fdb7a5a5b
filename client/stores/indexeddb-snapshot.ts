/** The snapshot that a slot of an IndexedDB store keeps. All run within a transaction of their caller. */
import type { Line } from "../../protocol/types.ts";
import { result } from "../browser-database.ts";
import { rangeOf, type SnapshotRow, type Tables } from "./indexeddb-tables.ts";
import type { StoredSnapshot } from "./store.ts";
import { isStoredSnapshot, storedSnapshot } from "./stored-values.ts";

/** As `Store.keepSnapshot`. */
export function keepSnapshot(
  table: Tables,
  slot: string,
  snapshot: Line | undefined,
  isLoaded: boolean,
): void {
  table("snapshots").delete(rangeOf(slot));
  if (snapshot === undefined) return;
  const { client, index, payload } = snapshot;
  put(table, { slot, part: "name", client, index, isLoaded });
  put(table, { slot, part: "payload", payload });
}

/** As `Store.snapshotLoaded`. */
export async function snapshotLoaded(table: Tables, slot: string): Promise<void> {
  const kept = await keptSnapshot(table, slot);
  if (kept !== undefined) put(table, { ...kept, isLoaded: true, slot, part: "name" });
}

/** The name of the one that is kept. One that is damaged counts as none: what follows it does not. */
export async function keptSnapshot(
  table: Tables,
  slot: string,
): Promise<StoredSnapshot | undefined> {
  const row: unknown = await result(table("snapshots").get([slot, "name"]));
  return isStoredSnapshot(row) ? storedSnapshot(row) : undefined;
}

/** As `Store.readSnapshot`. */
export async function readSnapshot(table: Tables, slot: string): Promise<string | undefined> {
  const row = await result<{ readonly payload?: unknown } | undefined>(
    table("snapshots").get([slot, "payload"]),
  );
  return typeof row?.payload === "string" ? row.payload : undefined;
}

function put(table: Tables, row: SnapshotRow): void {
  table("snapshots").put(row);
}
