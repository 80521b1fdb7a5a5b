import { ObjectMissing } from "../../storage/driver.ts";
import type { Announcer } from "../announcer.ts";
import type { ListedSnapshot } from "../listed-snapshots.ts";
import type { Listing } from "../listing.ts";
import type { ListingCache } from "../listing-cache.ts";
import {
  type Fingerprint,
  type FloorName,
  formatFloor,
  formatName,
  formatSnapshot,
} from "../names.ts";
import { type ObjectCache, ObjectDamaged } from "../object-cache.ts";
import { lengthOf } from "../sequence.ts";
import { isUsable, type Snapshots } from "../snapshots.ts";
import type { Telemetry } from "../telemetry.ts";
import { forEachLimited } from "../workers.ts";
import { newFloors, type ReadableSnapshots, spentSnapshots, trimmable } from "./rule.ts";

/** What a sweep has freed. */
export interface Freed {
  readonly objects: number;
  readonly bytes: number;
  readonly operations: number;
}

export interface SweeperOptions {
  readonly listings: ListingCache;
  readonly objects: ObjectCache;
  readonly snapshots: Snapshots;
  /** Absent for a lone server. */
  readonly announcer?: Announcer | undefined;
  /** How old a snapshot is before what it covers is deleted, in milliseconds. */
  readonly age: number;
  /**
   * How long a floor is stored before something below it is deleted, in milliseconds: a list, or a copy of
   * the storage, that began before has ended by then, so that it cannot miss both.
   */
  readonly deleteDelay: number;
  /** Called after something was stored, however that ended: as for a compaction. */
  readonly settle?: ((user: Fingerprint) => Promise<unknown>) | undefined;
  readonly onFreed?: (user: Fingerprint, freed: Freed) => void;
  /** Waited for before each piece of work, so that requests go first. */
  readonly pause: () => Promise<void>;
  /** Ends the work at the next point where it can end. */
  readonly signal: AbortSignal;
  /** Milliseconds of Unix time. */
  readonly time: () => number;
  readonly telemetry: Telemetry;
}

/** An object to delete, and what is freed by that. */
interface Deletable extends Freed {
  readonly name: string;
}

/** How many objects are stored or deleted at once, and between two pauses. */
const AT_ONCE = 16;
const WITHOUT_PAUSE = 128;

/**
 * Deletes what snapshots stand for. It may stop at any point, by a crash as well:
 *
 * - The floor is stored first, durably. From then on nothing at or below it is sent, packed or compared,
 *   whether it is still there or not. So the order of the deletes does not matter.
 * - Deleting is a look at what a list shows below a floor, and knows nothing else. What another server has
 *   stored there since, by an older listing, is found like the rest.
 * - Two snapshots at least cover all floors, however late these come (`trimmable`). So a reader can go on.
 */
export class Sweeper {
  readonly #options: SweeperOptions;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  /**
   * Does what there is to do in a log now. Returns when to look again, in milliseconds of Unix time;
   * `undefined` where nothing changes by time alone. Throws `StorageUnavailable`.
   */
  async sweep(user: Fingerprint): Promise<number | undefined> {
    const { listings, age, deleteDelay, time } = this.#options;
    const now = time();
    const listing = await listings.fresh(user);
    if (listing.erasedAt !== undefined) return undefined;
    const settled = Math.floor((now - deleteDelay) / 1000);
    const readable = this.#readable(listing);
    const decided = await trimmable(readable, {
      until: Math.floor((now - age) / 1000),
      untilElsewhere: Math.floor((time() - age + deleteDelay) / 1000),
      settled,
    });
    const floors = decided === undefined ? new Map<string, number>() : newFloors(listing, decided);
    if (floors.size > 0) await this.#storeFloors(user, floors);
    const spent = decided === undefined ? [] : await spentSnapshots(readable, decided);
    await this.#delete(user, deletable(listing, spent, settled));
    const times = listing.snapshots.flatMap(({ at }) => [at * 1000 + age, at * 1000 + deleteDelay]);
    if (floors.size > 0) times.push(time() + deleteDelay);
    if (hasTrimmed(listing)) times.push(...listing.floors.map(({ at }) => at * 1000 + deleteDelay));
    const later = times.filter((at) => at > now - 1000);
    // A second later: times of objects are whole seconds.
    return later.length === 0 ? undefined : Math.min(...later) + 1000;
  }

  #readable(listing: Listing): ReadableSnapshots {
    return {
      listed: listing.snapshots,
      coversOf: async (snapshot) => {
        try {
          return await this.#options.snapshots.coversOf(snapshot);
        } catch (error) {
          // Readers cannot use it either, or another server has found that it can go.
          if (error instanceof ObjectDamaged || error instanceof ObjectMissing) return undefined;
          throw error;
        }
      },
      isUsable: (snapshot, covers) => isUsable(listing, snapshot, covers),
    };
  }

  async #storeFloors(user: Fingerprint, floors: ReadonlyMap<string, number>): Promise<void> {
    const { listings, objects, announcer, pause, settle, signal, time } = this.#options;
    await pause();
    if (signal.aborted) return;
    announcer?.beforeStoring();
    try {
      await forEachLimited([...floors], AT_ONCE, async ([client, index]) => {
        const at = Math.floor(time() / 1000);
        await objects.putMarker(formatFloor({ user, client, index, at }), new Uint8Array());
      });
      listings.invalidate(user);
      await announcer?.changed(user);
    } catch (error) {
      listings.invalidate(user);
      await announcer?.unsettled(user);
      throw error;
    } finally {
      await settle?.(user);
    }
  }

  async #delete(user: Fingerprint, all: readonly Deletable[]): Promise<void> {
    const { objects, pause, signal, telemetry, onFreed } = this.#options;
    const freed = { objects: 0, bytes: 0, operations: 0 };
    try {
      for (let i = 0; i < all.length && !signal.aborted; i += WITHOUT_PAUSE) {
        await pause();
        await forEachLimited(all.slice(i, i + WITHOUT_PAUSE), AT_ONCE, async (one) => {
          if (signal.aborted) return;
          await objects.delete(one.name);
          for (const kind of ["objects", "bytes", "operations"] as const) {
            freed[kind] += one[kind];
            telemetry.count("retention", kind, one[kind]);
          }
        });
      }
    } finally {
      // What was listed before is out of date, and takes memory.
      if (freed.objects > 0) this.#options.listings.invalidate(user);
      if (freed.objects > 0) onFreed?.(user, freed);
    }
  }
}

/** Whether something is stored that snapshots stand for. */
export function hasTrimmed({ clients, floors }: Listing): boolean {
  if (floors.length === 0) return false;
  for (const { trimmed } of clients.values()) if (trimmed.length > 0) return true;
  return false;
}

/**
 * The objects of a log that may be deleted: what lies below floors, floors below others, and snapshots.
 *
 * @param spent the snapshots among them
 * @param until floors that were stored by this time count, in seconds of Unix time
 */
function deletable(listing: Listing, spent: readonly ListedSnapshot[], until: number): Deletable[] {
  const all: Deletable[] = [];
  const highest = new Map<string, FloorName>();
  const ripe = listing.floors.filter(({ at }) => at <= until);
  // In byte order of names, so the last of a client is the highest.
  for (const floor of ripe) highest.set(floor.client, floor);
  for (const floor of highest.values()) {
    const { user, client, index } = floor;
    for (const run of listing.clients.get(client)?.trimmed ?? []) {
      if (run.last > index) continue;
      const name = formatName({ user, client, ...run });
      all.push({ name, objects: 1, bytes: run.size, operations: lengthOf(run) });
    }
  }
  for (const floor of ripe) {
    if (highest.get(floor.client) === floor) continue;
    all.push({ name: formatFloor(floor), objects: 1, bytes: 0, operations: 0 });
  }
  for (const snapshot of spent) {
    all.push({ name: formatSnapshot(snapshot), objects: 1, bytes: snapshot.size, operations: 0 });
  }
  return all;
}
