/**
 * Appends to logs, by the rules of PROTOCOL.md: a client's operations have no holes and are never
 * replaced, and what is acknowledged is in storage.
 */
import { ObjectMissing } from "../storage/driver.ts";
import {
  type Batch,
  missingObjects,
  type NewObject,
  OperationConflict,
  OperationGap,
} from "./append-plan.ts";
import type { EntryReader } from "./entries.ts";
import { KeyedQueue } from "./keyed-queue.ts";
import type { Listing } from "./listing.ts";
import type { ListingCache } from "./listing-cache.ts";
import type { Fingerprint } from "./names.ts";
import type { ObjectCache } from "./object-cache.ts";
import type { AppendPolicy, Reservation } from "./policy.ts";
import { MAX_LISTS } from "./reader.ts";
import { lengthOf } from "./sequence.ts";
import { NO_TELEMETRY, type Telemetry } from "./telemetry.ts";

export interface AppenderOptions {
  readonly listings: ListingCache;
  readonly objects: ObjectCache;
  readonly entries: EntryReader;
  /** Called after an append that has stored something. */
  readonly onAppended?: (user: Fingerprint) => void;
  readonly telemetry?: Telemetry;
}

/** What an append stores, and the room that is reserved for it. */
interface Plan {
  readonly objects: readonly NewObject[];
  /** Absent where nothing is stored. */
  readonly reservation: Reservation | undefined;
}

/** Appends to the logs of all users. */
export class Appender {
  readonly #options: AppenderOptions;
  readonly #telemetry: Telemetry;
  readonly #queue = new KeyedQueue();

  constructor(options: AppenderOptions) {
    this.#options = options;
    this.#telemetry = options.telemetry ?? NO_TELEMETRY;
  }

  /**
   * Appends operations of one client. Resolves once all of them are in durable storage; operations
   * that were there already, with the same payloads, count as that. Throws `OperationGap`,
   * `OperationConflict` or an error of the policy, having stored nothing; `StorageUnavailable` and
   * what reading throws, having stored a leading part or nothing.
   */
  append(batch: Batch, policy: AppendPolicy): Promise<void> {
    // One append of a client at a time, or two under one index could both find it free.
    return this.#queue.run(`${batch.user}.${batch.client}`, async () => {
      const { objects, reservation } = await this.#plan(batch, policy);
      const missing = objects.reduce((sum, { name }) => sum + lengthOf(name), 0);
      this.#telemetry.count("operations", "retried", batch.payloads.length - missing);
      try {
        // One after the other: a crash between two of them leaves no hole.
        for (const object of objects) {
          await this.#store(object);
          reservation?.stored(object.body.byteLength);
          this.#telemetry.count("operations", "stored", lengthOf(object.name));
        }
      } finally {
        reservation?.end();
      }
      if (missing > 0) this.#options.onAppended?.(batch.user);
    });
  }

  async #store({ name, body }: NewObject): Promise<void> {
    const { listings, objects } = this.#options;
    await objects.put(name, body).catch((error: unknown) => {
      listings.invalidate(name.user);
      throw error;
    });
    listings.appended(name, body.byteLength);
  }

  /** What of a batch is to be stored. Throws when it may not be appended. */
  async #plan(batch: Batch, policy: AppendPolicy): Promise<Plan> {
    const { listings } = this.#options;
    const cached = await listings.get(batch.user);
    await policy.check(cached);
    const known = await this.#planBy(cached, batch, policy);
    if (!(known instanceof Error)) return known;
    for (let lists = 1; ; lists++) {
      // A cached listing never refuses an append: another process may have stored more.
      const fresh = await listings.fresh(batch.user);
      await policy.check(fresh);
      const actual = await this.#planBy(fresh, batch, policy);
      if (!(actual instanceof Error)) return actual;
      if (actual instanceof ObjectMissing && lists < MAX_LISTS) continue;
      if (actual instanceof OperationGap) this.#telemetry.count("operations", "gap");
      if (actual instanceof OperationConflict) this.#telemetry.count("operations", "conflict");
      throw actual;
    }
  }

  /** The objects that a listing lacks, with room reserved for them; or why they may not be stored. */
  async #planBy(listing: Listing, batch: Batch, policy: AppendPolicy): Promise<Plan | Error> {
    const objects = await missingObjects(listing, batch, this.#options.entries);
    if (objects instanceof Error) return objects;
    // A retry of what is stored is never refused.
    if (objects.length === 0) return { objects, reservation: undefined };
    const { user, client } = batch;
    const bytes = objects.reduce((sum, { body }) => sum + body.byteLength, 0);
    const reservation = policy.reserve({ user, client, bytes }, listing);
    return reservation instanceof Error ? reservation : { objects, reservation };
  }
}
