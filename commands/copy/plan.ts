/** What is to be copied of a user, and in which order. */
import { isTombstone, parseName, parseSnapshot } from "../../oplog/names.ts";
import type { StoredObject } from "../../storage/driver.ts";

/** The sizes of objects, by their names. */
export type Sizes = ReadonlyMap<string, number>;

/**
 * What a copy does with a user. `erased`: the tombstone is copied, and the copy loses all else.
 * `left out`: the user was erased where it is copied to, which stays so.
 */
export interface Plan {
  readonly kind: "live" | "erased" | "left out";
  readonly puts: readonly StoredObject[];
  /** What is deleted after the puts. */
  readonly deletes: readonly string[];
  /** How many objects need no put. */
  readonly present: number;
}

export interface Places {
  /** What the source has of the user. */
  readonly from: readonly StoredObject[];
  /** What there is where it is copied to. */
  readonly to: Sizes;
  /** What an earlier copy has, which this one only adds to. */
  readonly since: Sizes;
}

export function planOf({ from, to, since }: Places): Plan {
  const isThere = ({ name, size }: StoredObject) =>
    to.get(name) === size || since.get(name) === size;
  const tombstones = from.filter(({ name }) => isTombstone(name));
  const isErasedThere = isErased(to);
  if (tombstones.length > 0) {
    const puts = isErasedThere ? [] : tombstones.filter((object) => !isThere(object));
    const deletes = [...to.keys()].filter((name) => !isTombstone(name));
    return { kind: "erased", puts, deletes, present: 0 };
  }
  if (isErasedThere) return { kind: "left out", puts: [], deletes: [], present: 0 };
  const puts = from.filter((object) => !isThere(object));
  return { kind: "live", puts, deletes: [], present: from.length - puts.length };
}

export function isErased(objects: Sizes): boolean {
  return [...objects.keys()].some(isTombstone);
}

/**
 * The order, so that a copy that was cut off says nothing untrue: first what closes a user or says that
 * operations were trimmed, then operations, and snapshots, which need them, last.
 */
export const RANKS = [0, 1, 2] as const;

export function rankOf(name: string): (typeof RANKS)[number] {
  if (parseSnapshot(name) !== undefined) return 2;
  return parseName(name) === undefined ? 0 : 1;
}
