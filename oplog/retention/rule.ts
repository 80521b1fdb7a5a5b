/** What retention may delete of a log: the one rule, by what a list shows and what snapshots cover. */

import type { Covers } from "../batch.ts";
import type { ListedSnapshot } from "../listed-snapshots.ts";
import type { Listing } from "../listing.ts";

/** How many snapshots stay at least: should the newest turn out to be of no use, there is another. */
export const FEWEST_SNAPSHOTS = 2;

/** In seconds of Unix time. */
export interface RetentionTimes {
  /** Snapshots that were stored by this time are old enough for what they cover to be deleted. */
  readonly until: number;
  /**
   * Snapshots that were stored by this time can be old enough for another server that has listed before: a
   * list takes a while, and clocks differ.
   */
  readonly untilElsewhere: number;
  /** What was stored by this time, all servers see. */
  readonly settled: number;
}

/** What can be known of the snapshots of a log. */
export interface ReadableSnapshots {
  /** Oldest first. */
  readonly listed: readonly ListedSnapshot[];
  /** What one covers; `undefined` where its marker is damaged, or gone. */
  readonly coversOf: (snapshot: ListedSnapshot) => Promise<Covers | undefined>;
  /** Whether a reader can go on from it. */
  readonly isUsable: (snapshot: ListedSnapshot, covers: Covers) => boolean;
}

/** What may be deleted of a log. */
export interface Trimmable {
  /** Of each client, the last operation that may be. */
  readonly covers: Covers;
  /** The oldest snapshot that is needed for that; `undefined` where all are. */
  readonly oldest: ListedSnapshot | undefined;
}

/**
 * What may be deleted: of each client, what two snapshots cover, one of them old enough. Two snapshots at least
 * that all servers see have to cover all of it.
 *
 * Any number of servers decide this by themselves, by what each sees, and may store their floors much later.
 * None of these is above what two snapshots cover at any later time, one of them old enough for some server.
 * So two that cover as much as that are above every floor, those that are on their way as well.
 *
 * A snapshot can have two markers, where a retry came to another server. It counts once, by the older one.
 *
 * @returns `undefined` where there are no two such snapshots: nothing may be deleted yet
 */
export async function trimmable(
  { listed, coversOf, isUsable }: ReadableSnapshots,
  { until, untilElsewhere, settled }: RetentionTimes,
): Promise<Trimmable | undefined> {
  const [here, elsewhere] = [new Highest(), new Highest()];
  const counted = new Map<string, ListedSnapshot>();
  for (const snapshot of listed) {
    const covers = await coversOf(snapshot);
    const key = `${snapshot.client} ${snapshot.index} ${snapshot.md5}`;
    if (covers === undefined || counted.has(key)) continue;
    counted.set(key, snapshot);
    here.add(covers, snapshot.at <= until);
    elsewhere.add(covers, snapshot.at <= untilElsewhere);
  }
  const [covers, bound] = [here.coveredByTwo(), elsewhere.coveredByTwo()];
  let staying = 0;
  let hasOldEnough = false;
  for (const snapshot of [...counted.values()].reverse()) {
    const its = await coversOf(snapshot);
    if (its === undefined || !isUsable(snapshot, its)) continue;
    if (snapshot.at <= settled && includes(its, bound)) staying++;
    hasOldEnough ||= snapshot.at <= until && includes(its, covers);
    if (staying >= FEWEST_SNAPSHOTS && hasOldEnough) return { covers, oldest: snapshot };
  }
  return staying >= FEWEST_SNAPSHOTS ? { covers, oldest: undefined } : undefined;
}

/** How far snapshots cover each client. */
class Highest {
  /** The two highest indexes of each client, `-1` for none. */
  readonly #two = new Map<string, readonly [number, number]>();
  /** The highest by snapshots that are old enough. */
  readonly #old = new Map<string, number>();

  add(covers: Covers, isOldEnough: boolean): void {
    for (const [client, index] of covers) {
      const [first, second] = this.#two.get(client) ?? [-1, -1];
      if (index > first) this.#two.set(client, [index, first]);
      else if (index > second) this.#two.set(client, [first, index]);
      if (isOldEnough) this.#old.set(client, Math.max(index, this.#old.get(client) ?? -1));
    }
  }

  /** Of each client, the last operation that two snapshots cover, one of which is old enough. */
  coveredByTwo(): Covers {
    const covers = new Map<string, number>();
    for (const [client, old] of this.#old) {
      const index = Math.min(old, this.#two.get(client)?.[1] ?? -1);
      if (index >= 0) covers.set(client, index);
    }
    return covers;
  }
}

/** Whether something covers at least what `other` does. */
function includes(covers: Covers, other: Covers): boolean {
  for (const [client, index] of other) if (index > (covers.get(client) ?? -1)) return false;
  return true;
}

/** The new floors: of each client the last operation of the last object that may be deleted whole. */
export function newFloors(listing: Listing, { covers }: Trimmable): Map<string, number> {
  const floors = new Map<string, number>();
  for (const [client, { runs }] of listing.clients) {
    const covered = covers.get(client) ?? -1;
    const floor = runs.reduce(
      (most, { last }) => (last <= covered ? Math.max(most, last) : most),
      -1,
    );
    if (floor >= 0) floors.set(client, floor);
  }
  return floors;
}

/**
 * The snapshots that may be deleted: those that are older, and cover nothing else. What two snapshots cover,
 * one of them old enough, is the same without them, so that it bounds floors that are on their way as before.
 */
export async function spentSnapshots(
  { listed, coversOf }: ReadableSnapshots,
  { covers, oldest }: Trimmable,
): Promise<ListedSnapshot[]> {
  const spent: ListedSnapshot[] = [];
  for (const snapshot of oldest === undefined ? [] : listed) {
    if (snapshot === oldest) break;
    const its = await coversOf(snapshot);
    if (its === undefined || includes(covers, its)) spent.push(snapshot);
  }
  return spent;
}
