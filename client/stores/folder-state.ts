import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { StoreDamaged } from "../errors.ts";
import type { Cursor } from "../types.ts";
import { hasCode } from "./folder-files.ts";
import { isCursor, isOwnClient } from "./stored-values.ts";

export const STATE_FILE = "state.json";

/** The content of `state.json`. It is replaced as a whole and decides what a log counts for. */
export interface State {
  readonly version: 1;
  /** `length` is set for a client id that was given up. The log has that of the one in use. */
  readonly own: readonly {
    readonly client: string;
    readonly length?: number;
    readonly acknowledged: number;
    readonly highWater: number;
  }[];
  readonly cursors: readonly Cursor[];
}

export const EMPTY: State = { version: 1, own: [], cursors: [] };

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
  if (typeof state?.version === "number" && state.version !== 1) {
    throw new OtherVersion(`${path} is of a version that this software does not read`);
  }
  if (!Array.isArray(state?.own) || !Array.isArray(state.cursors)) {
    throw new StoreDamaged(`${path} has lost a part of its content`);
  }
  if (!state.own.every(isOwnClient)) throw new StoreDamaged(`a client id in ${path} is damaged`);
  if (!state.cursors.every(isCursor)) throw new StoreDamaged(`a cursor in ${path} is damaged`);
  return state;
}
