/**
 * The log of a user: append and read, by the rules of PROTOCOL.md.
 *
 * A client's sequence has no holes and no rewrites, ever. What is acknowledged is in storage.
 */
import { ObjectMissing } from "../storage/driver.ts";
import {
  type Batch,
  missingFrom,
  type NewObject,
  OperationConflict,
  OperationGap,
} from "./append-plan.ts";
import { EntryReader } from "./entries.ts";
import { KeyedQueue } from "./keyed-queue.ts";
import type { Listing } from "./listing.ts";
import type { ListingCache } from "./listing-cache.ts";
import type { Fingerprint, ObjectName } from "./names.ts";
import type { ObjectCache } from "./object-cache.ts";
import type { AppendPolicy, Reservation } from "./policy.ts";
import { MAX_LISTS, Reader, type Reading, type ReadOptions } from "./reader.ts";
import { lengthOf } from "./sequence.ts";
import { NO_TELEMETRY, type Telemetry } from "./telemetry.ts";

/** What is to be stored, and its place in the user's quota. */
interface Missing {
  readonly objects: readonly NewObject[];
  readonly reservation: Reservation | undefined;
}

/** The logs of all users. */
export class Log {
  readonly #reader: Reader;
  readonly #listings: ListingCache;
  readonly #objects: ObjectCache;
  readonly #parts: EntryReader;
  readonly #onAppended: (user: Fingerprint) => void;
  readonly #telemetry: Telemetry;
  readonly #turns = new KeyedQueue();

  /** @param onAppended told of every user whose log has grown */
  constructor(
    listings: ListingCache,
    objects: ObjectCache,
    parts = new EntryReader(objects),
    onAppended: (user: Fingerprint) => void = () => undefined,
    telemetry = NO_TELEMETRY,
  ) {
    this.#listings = listings;
    this.#objects = objects;
    this.#parts = parts;
    this.#reader = new Reader(listings, parts, telemetry);
    this.#onAppended = onAppended;
    this.#telemetry = telemetry;
  }

  /**
   * Appends operations of one client, the first under the index `first`. Returns once all of them
   * are in durable storage; those that were there already, with the same payloads, count as that.
   * Throws `OperationGap`, `OperationConflict` or an error of the policy, having stored nothing.
   */
  append(
    user: Fingerprint,
    client: string,
    first: number,
    payloads: readonly string[],
    policy: Partial<AppendPolicy> = {},
  ): Promise<void> {
    const batch = { user, client, first, last: first + payloads.length - 1, payloads };
    // In turns, so that two requests under one index never both find it free.
    return this.#turns.run(`${user}.${client}`, async () => {
      const { objects, reservation } = await this.#missing(batch, policy);
      const missing = objects.reduce((sum, { name }) => sum + lengthOf(name), 0);
      this.#telemetry.count("operations", "retried", payloads.length - missing);
      try {
        // One after the other: a crash between two of them leaves no hole.
        for (const { name, body } of objects) {
          await this.#store(name, body);
          reservation?.stored(body.byteLength);
          this.#telemetry.count("operations", "stored", lengthOf(name));
        }
      } finally {
        reservation?.end();
      }
      if (missing > 0) this.#onAppended(user);
    });
  }

  /** The operations above what the reader is aware of: for each client, its last known index. */
  read(
    user: Fingerprint,
    versionVector: ReadonlyMap<string, number>,
    options?: ReadOptions,
  ): Promise<Reading> {
    return this.#reader.read(user, versionVector, options);
  }

  async #store(name: ObjectName, body: Uint8Array): Promise<void> {
    await this.#objects.put(name, body).catch((error: unknown) => {
      this.#listings.invalidate(name.user);
      throw error;
    });
    this.#listings.appended(name, body.byteLength);
  }

  /** What of a batch is to be stored. Throws when it may not be appended. */
  async #missing(batch: Batch, policy: Partial<AppendPolicy>): Promise<Missing> {
    const cached = await this.#listings.get(batch.user);
    await policy.check?.(cached);
    const known = await this.#toStore(batch, cached, policy);
    if (!(known instanceof Error)) return known;
    for (let lists = 1; ; lists++) {
      // A cached listing never refuses anybody: another process may have stored more.
      const fresh = await this.#listings.fresh(batch.user);
      await policy.check?.(fresh);
      const actual = await this.#toStore(batch, fresh, policy);
      if (!(actual instanceof Error)) return actual;
      if (actual instanceof ObjectMissing && lists < MAX_LISTS) continue;
      if (actual instanceof OperationGap) this.#telemetry.count("operations", "gap");
      if (actual instanceof OperationConflict) this.#telemetry.count("operations", "conflict");
      throw actual;
    }
  }

  /** The objects that a listing lacks and that are let in, or why they may not be appended. */
  async #toStore(
    batch: Batch,
    listing: Listing,
    policy: Partial<AppendPolicy>,
  ): Promise<Missing | Error> {
    const objects = await missingFrom(listing, batch, this.#parts);
    if (objects instanceof Error) return objects;
    // What is stored already is never refused.
    if (objects.length === 0 || policy.reserve === undefined)
      return { objects, reservation: undefined };
    const { user, client } = batch;
    const bytes = objects.reduce((sum, { body }) => sum + body.byteLength, 0);
    const reservation = policy.reserve({ user, client, bytes }, listing);
    return reservation instanceof Error ? reservation : { objects, reservation };
  }
}
