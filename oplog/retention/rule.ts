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

/** The snapshots that stay. */
export interface KeptSnapshots {
  readonly oldest: ListedSnapshot;
  /** What all of them cover. That may be deleted, and a reader can go on from any. */
  readonly covers: Covers;
}

/**
 * Which snapshots stay: the newest down to the first that is old enough, and at least two that all servers see.
 *
 * Another server may have decided the same at any time before, by fewer snapshots, and store its floors only
 * now. It had two at least, one of them old enough, so its floors are within the bound: what two snapshots
 * cover of each client, one of which is old enough. A snapshot that covers less than the bound does not count.
 *
 * Among those that stay are two such snapshots, so all of them together cover nothing above the bound either.
 * The bound is just what may be deleted.
 *
 * A snapshot can have two markers, where a retry came to another server. It counts once, by the older one.
 *
 * @returns `undefined` where nothing may be deleted yet
 */
export async function keptSnapshots(
  { listed, coversOf, isUsable }: ReadableSnapshots,
  { until, untilElsewhere, settled }: RetentionTimes,
): Promise<KeptSnapshots | undefined> {
  const highest = new Highest();
  const counted = new Map<string, ListedSnapshot>();
  for (const snapshot of listed) {
    const covers = await coversOf(snapshot);
    const key = `${snapshot.client} ${snapshot.index} ${snapshot.md5}`;
    if (covers === undefined || counted.has(key)) continue;
    counted.set(key, snapshot);
    highest.add(covers, snapshot.at <= untilElsewhere);
  }
  const bound = highest.coveredByTwo();
  let isOldEnough = false;
  let seen = 0;
  for (const snapshot of [...counted.values()].reverse()) {
    const covers = await coversOf(snapshot);
    if (covers === undefined || !isUsable(snapshot, covers) || !includes(covers, bound)) continue;
    isOldEnough ||= snapshot.at <= until;
    if (snapshot.at <= settled) seen++;
    if (isOldEnough && seen >= FEWEST_SNAPSHOTS) return { oldest: snapshot, covers: bound };
  }
  return undefined;
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

/**
 * The new floors: of each client the last operation of the last object that the snapshots which stay cover
 * whole. Clients without such an object have none.
 */
export function newFloors(listing: Listing, { covers }: KeptSnapshots): Map<string, number> {
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
 * The snapshots that may be deleted: those that are older than all that stay, and cover nothing that one of
 * these does not. So what two snapshots cover is never less by a delete, and a floor that another server has
 * yet to store stays within it.
 */
export async function spentSnapshots(
  { listed, coversOf }: ReadableSnapshots,
  kept: KeptSnapshots,
): Promise<ListedSnapshot[]> {
  const spent: ListedSnapshot[] = [];
  for (const snapshot of listed) {
    if (snapshot === kept.oldest) break;
    const covers = await coversOf(snapshot);
    if (covers === undefined || includes(kept.covers, covers)) spent.push(snapshot);
  }
  return spent;
}
