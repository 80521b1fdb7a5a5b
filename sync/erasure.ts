import type { Announcer } from "../oplog/announcer.ts";
import { KeyedQueue } from "../oplog/keyed-queue.ts";
import type { Listing } from "../oplog/listing.ts";
import type { ListingCache } from "../oplog/listing-cache.ts";
import type { Asked } from "../oplog/listing-load.ts";
import {
  type Fingerprint,
  formatMarker,
  isTombstone,
  parseFloor,
  parseMarker,
  tombstonePrefix,
  userPrefix,
} from "../oplog/names.ts";
import type { ObjectCache } from "../oplog/object-cache.ts";
import type { Telemetry } from "../oplog/telemetry.ts";
import { forEachLimited } from "../oplog/workers.ts";
import { type Driver, StorageFull, type StoredObject } from "../storage/driver.ts";
import { lruOf } from "../storage/lru.ts";
import { filterInSlices } from "../storage/slices.ts";

export interface ErasuresOptions {
  readonly driver: Driver;
  readonly listings: ListingCache;
  readonly objects: ObjectCache;
  /** Absent for a lone server. */
  readonly announcer?: Announcer | undefined;
  /** Milliseconds of Unix time. */
  readonly time: () => number;
  readonly telemetry: Telemetry;
  /** Called when a user was erased here. */
  readonly onErased?: (user: Fingerprint) => void;
  /** Called when leftovers of an erased user could not be deleted; the next request tries again. */
  readonly onFailure: (user: Fingerprint, error: unknown) => void;
}

/** Erased users remembered, so that they are known between two lists of storage. */
const REMEMBERED = 10_000;

/** Deletes under way at once. */
const DELETES_AT_ONCE = 16;

/**
 * Erases users. The tombstone is written first and stays, so that wherever an erasure is cut off,
 * the user is erased, and another process knows what remains to be deleted.
 */
export class Erasures {
  readonly #options: ErasuresOptions;
  /** No server deletes a tombstone but that of a guest, who is not accepted any more. */
  readonly #known = lruOf<Fingerprint, number>(REMEMBERED);
  readonly #queue = new KeyedQueue();
  readonly #sweeping = new Set<Fingerprint>();

  constructor(options: ErasuresOptions) {
    this.#options = options;
  }

  /**
   * When a user was erased, in seconds of Unix time, as far as this process or the listing, which
   * may be older, shows it.
   */
  erasedAt(user: Fingerprint, listing: Listing): number | undefined {
    return this.#known.get(user) ?? listing.erasedAt;
  }

  /** Whether anything is stored of a user, even only a tombstone. */
  async hasStored(user: Fingerprint, asked?: Asked): Promise<boolean> {
    return !(await this.#options.listings.get(user, asked)).isEmpty;
  }

  /**
   * Deletes every object of a user but a tombstone. Called for an erased user, it deletes what is
   * left. Throws `StorageUnavailable`.
   */
  erase(user: Fingerprint): Promise<void> {
    return this.#queue.run(user, async () => {
      const { driver, listings, announcer } = this.#options;
      announcer?.beforeStoring();
      if (!(await this.#isErased(user))) await this.#writeTombstone(user);
      // Until a list shows nothing to delete: an append under way may store after it. What a power
      // loss brings back is deleted at the user's next request, because the tombstone is durable.
      for (;;) {
        const stored = await driver.list(userPrefix(user));
        const markers = await markersIn(stored);
        // Of several, all processes must keep the same one: the earliest.
        const tombstone = markers.find(isTombstone);
        if (tombstone === undefined) {
          await this.#writeTombstone(user);
          continue;
        }
        const kept = new Set(markers.length < stored.length ? markers : [tombstone]);
        const rest = await filterInSlices(stored, ({ name }) => !kept.has(name));
        if (rest.length === 0) break;
        await this.#delete(rest.map(({ name }) => name));
      }
      listings.invalidate(user);
      // The tombstone may have been found by a list, and never been announced.
      await announcer?.changed(user);
    });
  }

  /**
   * Deletes every object of a user, a tombstone as well. Of one who is not accepted any more: nothing may
   * be stored meanwhile. What a power loss brings back stays. Throws `StorageUnavailable`.
   */
  clear(user: Fingerprint): Promise<void> {
    return this.#queue.run(user, async () => {
      const { driver, listings, announcer } = this.#options;
      const stored = await driver.list(userPrefix(user));
      announcer?.beforeStoring();
      await this.#delete(stored.map(({ name }) => name));
      this.#known.delete(user);
      listings.invalidate(user);
      await announcer?.changed(user);
    });
  }

  /**
   * To be called after a store, whether it failed or not: if the user was erased meanwhile, deletes
   * what it stored, and resolves to the time of the erasure.
   */
  settle(user: Fingerprint): Promise<number> | undefined {
    const at = this.#known.get(user);
    return at === undefined ? undefined : this.erase(user).then(() => at);
  }

  /**
   * As `settle`, but asks storage: another process may have erased the user. An erasure lists after
   * it has written the tombstone, so one of the two sees the other.
   */
  async settleAfresh(user: Fingerprint): Promise<void> {
    const stored = await this.#options.driver.list(tombstonePrefix(user));
    if (stored.some(({ name }) => isTombstone(name))) await this.erase(user);
  }

  /** Deletes the objects beside a tombstone, in the background. */
  sweep(user: Fingerprint): void {
    if (this.#sweeping.has(user)) return;
    this.#sweeping.add(user);
    this.erase(user)
      .catch((error: unknown) => this.#options.onFailure(user, error))
      .finally(() => this.#sweeping.delete(user));
  }

  async #isErased(user: Fingerprint): Promise<boolean> {
    if (this.#known.has(user)) return true;
    const at = this.erasedAt(user, await this.#options.listings.get(user));
    if (at !== undefined) this.#known.set(user, at);
    return at !== undefined;
  }

  /** Stores the tombstone, durably. */
  async #writeTombstone(user: Fingerprint): Promise<void> {
    const { driver, listings, announcer, time, telemetry } = this.#options;
    const at = Math.floor(time() / 1000);
    const name = formatMarker({ kind: "erased", user, at });
    const put = (fromReserve = false) =>
      driver.put(name, new Uint8Array(), { fromReserve }).finally(() => listings.invalidate(user));
    try {
      await put().catch(async (error: unknown) => {
        if (!(error instanceof StorageFull)) throw error;
        await this.#makeRoom(user, () => put(true));
      });
    } catch (error) {
      await announcer?.unsettled(user);
      throw error;
    }
    this.#known.set(user, at);
    await announcer?.changed(user);
    telemetry.count("users", "erased");
    this.#options.onErased?.(user);
  }

  /**
   * Writes the tombstone in the room that storage keeps. Where that is used up, deletes objects of the
   * user, the last one first, until there is some. Should this be cut off, the log ends too early and
   * has no hole, and its user, who wants to leave, asks again.
   *
   * @param put stores the tombstone from the reserve, also after a delete: the driver makes the reserve
   *   again from the room that becomes free
   */
  async #makeRoom(user: Fingerprint, put: () => Promise<void>): Promise<void> {
    const stored = await this.#options.driver.list(userPrefix(user));
    // A floor stays as long as there are operations: without it, they would seem to be missing.
    const names = stored
      .map(({ name }) => name)
      .filter((name) => parseMarker(name) === undefined && parseFloor(name) === undefined);
    for (;;) {
      try {
        return await put();
      } catch (error) {
        const last = names.pop();
        if (!(error instanceof StorageFull) || last === undefined) throw error;
        await this.#delete([last]);
      }
    }
  }

  async #delete(names: readonly string[]): Promise<void> {
    const { objects, telemetry } = this.#options;
    await forEachLimited(names, DELETES_AT_ONCE, async (name) => {
      await objects.delete(name);
      telemetry.count("erased_objects");
    });
  }
}

/** The names of the markers among objects. */
async function markersIn(objects: readonly StoredObject[]): Promise<string[]> {
  const markers = await filterInSlices(objects, ({ name }) => parseMarker(name) !== undefined);
  return markers.map(({ name }) => name);
}
