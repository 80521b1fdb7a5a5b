import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { isClientId } from "../../protocol/ids.ts";
import { StoreDamaged } from "../errors.ts";
import type { Cursor } from "../types.ts";
import { hasCode } from "./folder-files.ts";
import type { Move, OwnClient, Place, StoredSnapshot } from "./store.ts";
import { isCursor, isOwnClient, isStoredSnapshot } from "./stored-values.ts";

/** The name of the file with the state of a slot. */
export const STATE_FILE = "state.json";

/** The own client ids. `length` is set for one that was given up. The log has that of the one in use. */
export type OwnState = readonly (Omit<OwnClient, "length"> & {
  readonly length?: number | undefined;
})[];

/** The content of `state.json`. It is replaced as a whole and decides what the other files count for. */
export interface State {
  readonly version: 3;
  /** The name of the list of changes that follow on it. A state of version 2 has none. */
  readonly changes?: string | undefined;
  readonly own: OwnState;
  readonly received: readonly ReceivedState[];
  readonly snapshot?: SnapshotState | undefined;
}

/** The snapshot that is kept. */
export interface SnapshotState extends StoredSnapshot {
  /** The name of the file with its payload. */
  readonly file: string;
}

/** What is kept of another installation. */
export interface ReceivedState {
  readonly cursor: Cursor;
  /** The position before the first payload, where that is not the first operation. */
  readonly start?: Cursor | undefined;
  /** How much of the file counts. */
  readonly bytes: number;
}

/** The state of a slot in which nothing was stored. */
export const EMPTY: State = { version: 3, own: [], received: [] };

/** Those that this software reads. It writes the last one. */
const VERSIONS: readonly number[] = [2, 3];

/** Newer software wrote it: it is not damaged, and must not be replaced. */
export class OtherVersion extends StoreDamaged {}

/**
 * The state of a slot; `EMPTY` where there is none yet. Throws `StoreDamaged`, and `OtherVersion`.
 */
export async function readState(folder: string): Promise<State> {
  const path = join(folder, STATE_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return EMPTY;
    throw error;
  }
  let state: State;
  try {
    state = JSON.parse(text);
  } catch (error) {
    throw new StoreDamaged(`${path} cannot be read`, { cause: error });
  }
  if (typeof state?.version === "number" && !VERSIONS.includes(state.version)) {
    throw new OtherVersion(`${path} is of a version that this software does not read`);
  }
  if (!Array.isArray(state?.own) || !Array.isArray(state.received)) {
    throw new StoreDamaged(`${path} has lost a part of its content`);
  }
  if (state.changes !== undefined && !isClientId(state.changes)) {
    throw new StoreDamaged(`the name of a file in ${path} is damaged`);
  }
  if (!state.own.every(isOwnClient)) throw new StoreDamaged(`a client id in ${path} is damaged`);
  if (!state.received.every(isReceived)) throw new StoreDamaged(`a cursor in ${path} is damaged`);
  const { snapshot } = state;
  if (snapshot !== undefined && !(isStoredSnapshot(snapshot) && isClientId(snapshot.file))) {
    throw new StoreDamaged(`the name of the snapshot in ${path} is damaged`);
  }
  return state;
}

function isReceived(value: Partial<ReceivedState> | null): boolean {
  const { cursor, start, bytes } = value ?? {};
  const isStart = start === undefined || isCursor(start);
  return isCursor(cursor) && isStart && Number.isInteger(bytes);
}

/** The own client ids with another number of acknowledged operations of one. */
export function withAcknowledged(
  own: OwnState,
  client: string,
  acknowledged: number,
  delivered?: Place,
): OwnState {
  return own.map((one) => {
    if (one.client !== client) return one;
    const highWater = Math.max(one.highWater, acknowledged);
    return { ...one, acknowledged, highWater, ...(delivered && { delivered }) };
  });
}

/** The own client ids with only the first operations of one. */
export function withCut(own: OwnState, client: string, length: number): OwnState {
  return own.map((one) => {
    if (one.client !== client) return one;
    const acknowledged = Math.min(one.acknowledged, length);
    return { ...one, length, acknowledged, highWater: Math.min(one.highWater, length) };
  });
}

/** The own client ids after a move: none before the new one gets more operations. */
export function withMove(
  own: OwnState,
  { from, length: first, to, payloads }: Move,
  lengthOf: (one: OwnState[number]) => number,
): OwnState {
  const ended = own.map((one) => ({ ...one, length: lengthOf(one) }));
  const moved = { from, first, count: payloads.length };
  return [...withCut(ended, from, first), { client: to, acknowledged: 0, highWater: 0, moved }];
}
