import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { StoreDamaged } from "../errors.ts";
import type { Cursor } from "../types.ts";
import { hasCode } from "./folder-files.ts";
import { isCursor, isOwnClient } from "./stored-values.ts";

export const STATE_FILE = "state.json";

/** The content of `state.json`. It is replaced as a whole and decides what a log counts for. */
export interface State {
  readonly version: 2;
  /** `length` is set for a client id that was given up. The log has that of the one in use. */
  readonly own: readonly {
    readonly client: string;
    readonly length?: number;
    readonly acknowledged: number;
    readonly highWater: number;
  }[];
  readonly received: readonly ReceivedState[];
}

/** What is kept of another installation. */
export interface ReceivedState {
  readonly cursor: Cursor;
  /** The position before the first payload, where that is not the first operation. */
  readonly start?: Cursor | undefined;
  /** How much of the file counts. */
  readonly bytes: number;
}

export const EMPTY: State = { version: 2, own: [], received: [] };

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
  if (typeof state?.version === "number" && state.version !== 2) {
    throw new OtherVersion(`${path} is of a version that this software does not read`);
  }
  if (!Array.isArray(state?.own) || !Array.isArray(state.received)) {
    throw new StoreDamaged(`${path} has lost a part of its content`);
  }
  if (!state.own.every(isOwnClient)) throw new StoreDamaged(`a client id in ${path} is damaged`);
  if (!state.received.every(isReceived)) throw new StoreDamaged(`a cursor in ${path} is damaged`);
  return state;
}

function isReceived(value: Partial<ReceivedState> | null): boolean {
  const { cursor, start, bytes } = value ?? {};
  const isStart = start === undefined || isCursor(start);
  return isCursor(cursor) && isStart && Number.isInteger(bytes);
}

/** The state with another number of acknowledged operations of a client id. */
export function withAcknowledged(state: State, client: string, acknowledged: number): State {
  const own = state.own.map((one) => {
    if (one.client !== client) return one;
    return { ...one, acknowledged, highWater: Math.max(one.highWater, acknowledged) };
  });
  return { ...state, own };
}

/** The state with only the first operations of a client id. */
export function withCut(state: State, client: string, length: number): State {
  const own = state.own.map((one) => {
    if (one.client !== client) return one;
    const acknowledged = Math.min(one.acknowledged, length);
    return { client, length, acknowledged, highWater: Math.min(one.highWater, length) };
  });
  return { ...state, own };
}

/** The state after a move: no client id before the new one gets more operations. */
export function withMove(
  state: State,
  from: string,
  length: number,
  to: string,
  lengthOf: (one: State["own"][number]) => number,
): State {
  const own = state.own.map((one) => ({ ...one, length: lengthOf(one) }));
  const cut = withCut({ ...state, own }, from, length);
  return { ...cut, own: [...cut.own, { client: to, acknowledged: 0, highWater: 0 }] };
}

/** The state with other operations received of a client id, or with none. */
export function withReceived(
  state: State,
  client: string,
  received: ReceivedState | undefined,
): State {
  const others = state.received.filter(({ cursor }) => cursor.client !== client);
  return { ...state, received: received === undefined ? others : [...others, received] };
}
