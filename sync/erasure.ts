import { LRUCache } from "lru-cache";
import { KeyedQueue } from "../oplog/keyed-queue.ts";
import type { ListingCache } from "../oplog/listing-cache.ts";
import { type Fingerprint, formatMarker, parseMarker, userPrefix } from "../oplog/names.ts";
import type { ObjectCache } from "../oplog/object-cache.ts";
import type { Telemetry } from "../oplog/telemetry.ts";
import type { Driver } from "../storage/driver.ts";

export interface ErasuresOptions {
  readonly driver: Driver;
  readonly listings: ListingCache;
  readonly objects: ObjectCache;
  /** Milliseconds of Unix time. */
  readonly time: () => number;
  readonly telemetry: Telemetry;
  /** Told when what an erased user has left behind could not be deleted; it is tried again. */
  readonly onFailure: (user: Fingerprint, error: unknown) => void;
}

/** How many erased users are remembered, so as to know of them between two looks at storage. */
const REMEMBERED = 10_000;

/** Deletes under way at once. */
const DELETES_AT_ONCE = 16;

/**
 * Users who leave. The tombstone is the first that is written and the last that is left, so that
 * wherever an erasure breaks off, the user is erased, and whoever goes on knows what is to be done.
 */
export class Erasures {
  readonly #options: ErasuresOptions;
  /** No server takes a tombstone away, so nothing here is out of date (SECURITY.md, to let in again). */
  readonly #known = new LRUCache<Fingerprint, number>({ max: REMEMBERED });
  readonly #turns = new KeyedQueue();
  readonly #sweeping = new Set<Fingerprint>();

  constructor(options: ErasuresOptions) {
    this.#options = options;
  }

  /** When a user was erased, in seconds of Unix time, if this process did it, and not long ago. */
  erasedAt(user: Fingerprint): number | undefined {
    return this.#known.get(user);
  }

  /** Whether anything is stored of a user, be it a tombstone. */
  async hasStored(user: Fingerprint): Promise<boolean> {
    const { clients, signed, erasedAt, unrecognized } = await this.#options.listings.get(user);
    return clients.size + unrecognized > 0 || signed || erasedAt !== undefined;
  }

  /**
   * Deletes every object of a user but a tombstone. It may be called for a user who is erased
   * already: it then deletes what is there still. Throws `StorageUnavailable`.
   */
  erase(user: Fingerprint): Promise<void> {
    return this.#turns.run(user, async () => {
      const { driver, listings } = this.#options;
      if (!(await this.#isKnown(user))) await this.#bury(user);
      // Until a list shows nothing to delete: an append that was under way may land behind one. On
      // a file system, that list is also what makes the deletes durable.
      for (;;) {
        const names = (await driver.list(userPrefix(user))).map(({ name }) => name);
        // Of several, two processes at once must keep the same: the earliest.
        const tombstone = names.find((name) => parseMarker(name)?.kind === "erased");
        if (tombstone === undefined) {
          await this.#bury(user);
          continue;
        }
        const data = names.filter((name) => parseMarker(name) === undefined);
        const doomed = data.length > 0 ? data : names.filter((name) => name !== tombstone);
        if (doomed.length === 0) break;
        await this.#delete(doomed);
      }
      listings.invalidate(user);
    });
  }

  /**
   * To be called when something was stored, however that ended: if the user was erased meanwhile,
   * it is deleted. Gives the time of the erasure, if there was one.
   */
  async settle(user: Fingerprint): Promise<number | undefined> {
    const at = this.#known.get(user);
    if (at !== undefined) await this.erase(user);
    return at;
  }

  /**
   * As `settle`, for what another process may not have seen coming: asks storage whether the user
   * was erased. Whoever erases lists after the tombstone, so one of the two sees the other.
   */
  async settleAfresh(user: Fingerprint): Promise<void> {
    const stored = await this.#options.driver.list(userPrefix(user));
    if (stored.some(({ name }) => parseMarker(name)?.kind === "erased")) await this.erase(user);
  }

  /** Deletes in the background what lies beside a tombstone. */
  sweep(user: Fingerprint): void {
    if (this.#sweeping.has(user)) return;
    this.#sweeping.add(user);
    this.erase(user)
      .catch((error: unknown) => this.#options.onFailure(user, error))
      .finally(() => this.#sweeping.delete(user));
  }

  async #isKnown(user: Fingerprint): Promise<boolean> {
    const at = this.#known.get(user) ?? (await this.#options.listings.get(user)).erasedAt;
    if (at !== undefined) this.#known.set(user, at);
    return at !== undefined;
  }

  /** Puts the tombstone, durably. */
  async #bury(user: Fingerprint): Promise<void> {
    const { driver, listings, time, telemetry } = this.#options;
    const at = Math.floor(time() / 1000);
    await driver
      .put(formatMarker({ kind: "erased", user, at }), new Uint8Array())
      .finally(() => listings.invalidate(user));
    this.#known.set(user, at);
    telemetry.count("users", "erased");
  }

  async #delete(names: readonly string[]): Promise<void> {
    const { objects, telemetry } = this.#options;
    const queue = names.values();
    const worker = async () => {
      for (const name of queue) {
        await objects.delete(name);
        telemetry.count("erased_objects");
      }
    };
    await Promise.all(Array.from({ length: DELETES_AT_ONCE }, worker));
  }
}
