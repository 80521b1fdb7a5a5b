/** Verified and decrypted operations. */
import type { Content } from "./content.ts";
import type { Created, Cursor, Entry, Refusal } from "./types.ts";

/** A valid operation. */
export interface Operation {
  readonly client: string;
  readonly index: number;
  readonly content: Content;
}

/** The valid part of a run. */
export interface VerifiedRun {
  readonly operations: Operation[];
  /** Valid operations whose content is malformed: no retry can help, so they are stepped over. */
  readonly unreadable: Refusal[];
  /** The tag of a valid operation, as in a cursor. */
  readonly tagOf: (index: number) => string;
  /** The position after the last of both; the one before the run, if there is none. */
  readonly cursor: Cursor | undefined;
  /** Why the rest is refused, if there is one. */
  readonly refusal: Refusal | undefined;
}

/** Consecutive own operations, without those whose content is malformed. */
export interface Page {
  readonly operations: readonly Operation[];
  /** The index after them. */
  readonly next: number;
}

/** Consecutive own entries, and the place after them. */
export interface OwnEntries {
  readonly entries: Entry[];
  readonly next: Pick<Created, "index" | "position">;
}

/** The entries of operations, in order. */
export function entriesOf(operations: readonly Operation[]): Entry[] {
  return operations.flatMap(({ client, index, content }) =>
    content.entries.map((data, position) => ({ client, index, position, data })),
  );
}

/** What a snapshot stands for: the position of each client id, and of the snapshot itself. */
export type Covered = ReadonlyMap<string, Cursor>;
