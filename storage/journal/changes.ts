/** What a batch changes: it stores an object, or ends the one that a record has stored. */
import type { Journal } from "./journal.ts";
import type { RecordData } from "./record.ts";
import { encodeTarget } from "./target.ts";

export interface Put {
  readonly kind: "put";
  readonly name: string;
  readonly body: Uint8Array;
}

export interface Delete {
  readonly kind: "delete";
  readonly name: string;
  readonly journal: Journal;
  readonly offset: number;
  /** The object that holds the same data, where there is one: its own name, if it became a file. */
  readonly heldBy?: string | undefined;
}

export type Change = Put | Delete;

/** The record that says so. */
export function recordOf(change: Change): RecordData {
  if (change.kind === "put") return change;
  const { kind, name, journal, offset, heldBy } = change;
  return { kind, name, body: encodeTarget({ id: journal.id, offset, heldBy }) };
}
