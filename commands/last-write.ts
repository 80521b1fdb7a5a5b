/** When operations were last stored, as far as a list shows. */
import { type Fingerprint, formatName } from "../oplog/names.ts";
import { isOverlap, type Run, type Sequence } from "../oplog/sequence.ts";
import type { StoredObject } from "../storage/driver.ts";

/** In milliseconds of Unix time; `Infinity` where nothing says it, `undefined` where there was none. */
export type LastWrite = number | undefined;

/** The latest time that a `Date` has. */
const MAX_TIME = 8.64e15;

/**
 * When the newest operations of a user's clients were stored. Compaction leaves the last object of a
 * client as it was appended (see `oplog/compaction/planner.ts`), so its time is that of its operations.
 *
 * @param objects all objects of the user in byte order of their names, with their times
 */
export function lastWriteOf(
  user: Fingerprint,
  clients: ReadonlyMap<string, Sequence>,
  objects: readonly StoredObject[],
): LastWrite {
  let last: LastWrite;
  for (const [client, sequence] of clients) {
    for (const run of lastRunsOf(sequence)) {
      const time = timeOf(formatName({ ...run, user, client }), objects) ?? Infinity;
      last = laterOf(last, Math.abs(time) <= MAX_TIME ? time : Infinity);
    }
  }
  return last;
}

export function laterOf(one: LastWrite, other: LastWrite): LastWrite {
  return one === undefined || other === undefined ? (one ?? other) : Math.max(one, other);
}

/** For people: in UTC, to the second above. */
export function lastWriteText(last: LastWrite): string {
  if (last === undefined) return "-";
  if (last === Infinity) return "?";
  const [date, time] = new Date(Math.ceil(last / 1000) * 1000).toISOString().split(/[T.]/);
  return `${date} ${time}`;
}

/** For programs: `null` also where nothing says it. */
export function lastWriteJson(last: LastWrite): string | null {
  return last === undefined || last === Infinity ? null : new Date(last).toISOString();
}

/** By binary search: a map of all names would take longer than the rest. */
function timeOf(name: string, objects: readonly StoredObject[]): number | undefined {
  let [low, high] = [0, objects.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = objects[middle];
    if (at !== undefined && at.name < name) low = middle + 1;
    else high = middle;
  }
  const found = objects[low];
  return found?.name === name ? found.storedAt : undefined;
}

/** What holds the newest operation of a client: one object, unless several overlap there. */
function lastRunsOf(sequence: Sequence): Run[] {
  const { end } = sequence;
  const pieces = [...sequence.within({ first: end, last: end })];
  const runs = pieces.flatMap((piece) => (isOverlap(piece) ? piece.runs : [piece]));
  return runs.filter(({ last }) => last === end);
}
