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
  /** What was stored by this time, all servers see. */
  readonly settled: number;
}

/**
 * Which snapshots stay: the newest down to the first that is old enough, and at least two that all servers see:
 * one that does not may be storing floors by the others. What all that stay cover may be deleted, so each of
 * them stays one that a reader can go on from.
 *
 * @param usable those that a reader can go on from, the newest first; taken as far as needed
 * @returns `undefined` where nothing may be deleted yet
 */
export async function keptSnapshots<Some extends ListedSnapshot>(
  usable: AsyncIterable<Some>,
  { until, settled }: RetentionTimes,
): Promise<readonly Some[] | undefined> {
  const kept: Some[] = [];
  let isOldEnough = false;
  let seen = 0;
  for await (const snapshot of usable) {
    kept.push(snapshot);
    isOldEnough ||= snapshot.at <= until;
    if (snapshot.at <= settled) seen++;
    if (isOldEnough && seen >= FEWEST_SNAPSHOTS) return kept;
  }
  return undefined;
}

/**
 * The new floors: of each client the last operation of the last object that the snapshots which stay cover
 * whole. Clients without such an object have none.
 */
export function newFloors(listing: Listing, kept: readonly Covers[]): Map<string, number> {
  const floors = new Map<string, number>();
  for (const [client, { runs }] of listing.clients) {
    const covered = Math.min(...kept.map((covers) => covers.get(client) ?? -1));
    const floor = runs.reduce(
      (most, { last }) => (last <= covered ? Math.max(most, last) : most),
      -1,
    );
    if (floor >= 0) floors.set(client, floor);
  }
  return floors;
}
