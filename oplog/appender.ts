/**
 * Appends to logs, by the rules of PROTOCOL.md: a client's operations have no holes and are never
 * replaced, and what is acknowledged is in storage.
 */
import { ObjectMissing, StorageFull, StorageUnavailable } from "../storage/driver.ts";
import type { Announcer } from "./announcer.ts";
import {
  missingObjects,
  type NewObject,
  OperationConflict,
  OperationGap,
  OperationTrimmed,
  spanOf,
} from "./append-plan.ts";
import type { Batch } from "./batch.ts";
import { MAX_LISTS } from "./client-refresh.ts";
import type { EntryReader } from "./entries.ts";
import { KeyedQueue } from "./keyed-queue.ts";
import type { ListedSnapshot } from "./listed-snapshots.ts";
import type { Listing } from "./listing.ts";
import type { ListingCache } from "./listing-cache.ts";
import type { Fingerprint } from "./names.ts";
import { type ObjectCache, ObjectDamaged, ObjectUnfindable } from "./object-cache.ts";
import type { Addition, AppendPolicy, Reservation, RoomClaim } from "./policy.ts";
import { RoomClaims } from "./room-claims.ts";
import { lengthOf } from "./sequence.ts";
import type { NewSnapshot, Snapshots } from "./snapshots.ts";
import type { Telemetry } from "./telemetry.ts";

export interface AppenderOptions {
  readonly listings: ListingCache;
  /** Absent for a lone server. */
  readonly announcer?: Announcer | undefined;
  readonly objects: ObjectCache;
  readonly entries: EntryReader;
  readonly snapshots: Snapshots;
  /** Called after an append that has stored something. */
  readonly onAppended?: (user: Fingerprint) => void;
  /** Called after a snapshot was stored. */
  readonly onSnapshot?: (user: Fingerprint) => void;
  /** Called after an append that found no room in storage. */
  readonly onFull?: (user: Fingerprint) => void;
  readonly telemetry: Telemetry;
}

/** What an append stores, and the room that is reserved for it. */
interface AppendPlan {
  readonly objects: readonly NewObject[];
  /** Stored last, so that what it says of the operation is true. */
  readonly snapshot: NewSnapshot | undefined;
  /** Absent where nothing is stored. */
  readonly reservation: Reservation | undefined;
  /** Absent where no other server has to be asked. */
  readonly claim?: RoomClaim | undefined;
}

/** How often an append claims room again because another server has stored something meanwhile. */
const MAX_OVERTAKEN = 100;

/** Appends to the logs of all users. */
export class Appender {
  readonly #options: AppenderOptions;
  readonly #telemetry: Telemetry;
  readonly #queue = new KeyedQueue();

  constructor(options: AppenderOptions) {
    this.#options = options;
    this.#telemetry = options.telemetry;
  }

  /**
   * Appends operations of one client. Resolves once all of them are in durable storage; operations
   * that were there already, with the same payloads, count as that. Throws `OperationGap`,
   * `OperationConflict` or an error of the policy, having stored nothing; `StorageUnavailable` and
   * what reading throws, having stored a leading part or nothing.
   */
  append(batch: Batch, policy: AppendPolicy): Promise<void> {
    const { user, client } = batch;
    // One append of a client at a time, or two under one index could both find it free.
    return this.#queue.run(`${user}.${client}`, () =>
      this.#options.listings.holding(user, () => this.#append(batch, policy)),
    );
  }

  async #append(batch: Batch, policy: AppendPolicy): Promise<void> {
    const { announcer } = this.#options;
    const { objects, snapshot, reservation, claim } = await this.#plan(batch, policy);
    const missing = objects.reduce((sum, { name }) => sum + lengthOf(name), 0);
    this.#telemetry.count("operations", "retried", batch.payloads.length - missing);
    try {
      // One after the other: a crash between two of them leaves no hole.
      for (const object of objects) {
        await this.#store(object, reservation);
        claim?.stored(object.body.byteLength);
        this.#telemetry.count("operations", "stored", lengthOf(object.name));
      }
      if (snapshot !== undefined) {
        await this.#storeSnapshot(snapshot, reservation);
        claim?.stored(snapshot.size);
      }
    } catch (error) {
      claim?.announcing();
      await announcer?.unsettled(batch.user, claim?.id);
      throw error;
    } finally {
      reservation?.end();
    }
    // Retries as well: what was stored before may have come here by a list, and never been announced.
    if (announcer !== undefined) {
      claim?.announcing();
      await announcer.stored(batch.user, batch.client, spanOf(batch), claim?.id);
      if (batch.snapshot !== undefined) await announcer.changed(batch.user);
    }
    if (missing > 0) this.#options.onAppended?.(batch.user);
  }

  async #store({ name, body }: NewObject, reservation: Reservation | undefined): Promise<void> {
    const { listings, objects } = this.#options;
    await this.#putting(name.user, () => objects.put(name, body));
    // From one moment to the next it counts as stored, and no longer as reserved.
    listings.appended(name, body.byteLength);
    reservation?.stored(body.byteLength);
  }

  async #storeSnapshot(snapshot: NewSnapshot, reservation: Reservation | undefined): Promise<void> {
    const { user, size } = snapshot;
    await this.#putting(user, () => this.#options.snapshots.put(snapshot));
    this.#options.listings.marked(user, (listing) => listing.markedSnapshot(listedOf(snapshot)));
    reservation?.stored(size);
    this.#telemetry.count("snapshots", "stored");
    this.#options.onSnapshot?.(user);
  }

  async #putting(user: Fingerprint, put: () => Promise<void>): Promise<void> {
    try {
      await put();
    } catch (error) {
      this.#options.listings.invalidate(user);
      if (error instanceof StorageFull) this.#options.onFull?.(user);
      throw error;
    }
  }

  /** The objects of a batch to store, and room for them. Throws when it may not be appended. */
  async #plan(batch: Batch, policy: AppendPolicy): Promise<AppendPlan> {
    const claims = new RoomClaims(policy);
    try {
      const plan = await this.#planWith(claims, batch, policy);
      if (plan.reservation === undefined) claims.release();
      return plan;
    } catch (error) {
      claims.release();
      throw error;
    }
  }

  async #planWith(claims: RoomClaims, batch: Batch, policy: AppendPolicy): Promise<AppendPlan> {
    const { listings, entries, snapshots, announcer } = this.#options;
    const { user } = batch;
    let listing = listings.recent(user, policy.asked) ?? (await listings.get(user, policy.asked));
    for (let lists = 0, overtaken = 0; ; ) {
      const check = policy.check(listing);
      if (check !== undefined) await check;
      const missing = missingObjects(listing, batch, entries);
      const objects = missing instanceof Promise ? await missing : missing;
      const snapshot = snapshots.plan(listing, batch);
      // A retry of what is stored is never refused.
      if (!(objects instanceof Error) && objects.length === 0 && snapshot === undefined) {
        return { objects, snapshot, reservation: undefined };
      }
      // Meanwhile the log may have changed: the listing of this moment decides.
      const current = listings.current(user);
      if (current !== undefined && current !== listing) {
        listing = current;
        continue;
      }
      const again = policy.check(listing);
      if (again !== undefined) {
        await again;
        continue;
      }
      if (objects instanceof ObjectDamaged) {
        // The next listing lacks it, so that this comes to an end.
        listing = await this.#listAgain(batch, policy, objects);
        continue;
      }
      let refusal: Error | undefined;
      const added = objects instanceof Error ? objects : addedBy(objects, snapshot);
      if (announcer !== undefined && !(added instanceof Error)) {
        const addition = additionOf(batch, added);
        const claiming = claims.covers(addition) ? undefined : claims.take(addition, listing);
        if (claiming !== undefined) {
          const outcome = await claiming;
          if (outcome === "outdated" && ++overtaken < MAX_OVERTAKEN) {
            listing = await listings.get(user, await announcer.ask(user));
            continue;
          }
          // Meanwhile the log may have changed.
          if (outcome === undefined) continue;
          refusal = outcome instanceof Error ? outcome : new Outdated();
        }
      }
      const isGone = current === undefined;
      const plan = refusal ?? (isGone ? new Outdated() : decide(listing, batch, added, policy));
      if (!(plan instanceof Error)) return { ...plan, claim: claims.claim };
      // A cached listing never refuses an append: another process may have stored more.
      const mayList = plan instanceof Outdated || plan instanceof ObjectMissing;
      if (lists === MAX_LISTS && plan instanceof ObjectMissing) {
        listings.damaged(batch.user, new ObjectUnfindable(plan));
        lists = 0;
      } else if (lists === MAX_LISTS || (lists > 0 && !mayList)) {
        throw this.#counted(plan);
      }
      listing = await this.#listAgain(batch, policy, plan);
      lists++;
    }
  }

  /**
   * Lists before an append is refused. What is wrong with a batch shows in the objects of its client;
   * only a quota is about the whole log, which costs much more to list.
   */
  async #listAgain(
    { user, client }: Batch,
    policy: AppendPolicy,
    refusal: Error,
  ): Promise<Listing> {
    const { listings } = this.#options;
    const isOfClient =
      refusal instanceof OperationGap ||
      refusal instanceof OperationConflict ||
      refusal instanceof OperationTrimmed ||
      refusal instanceof ObjectMissing;
    const whole = !isOfClient || listings.current(user) === undefined;
    const listing = await (whole ? listings.fresh(user) : listings.freshOf(user, client));
    policy.listed?.(whole ? listing.runs : (listing.clients.get(client)?.runs.length ?? 0));
    return listing;
  }

  #counted(refusal: Error): Error {
    if (refusal instanceof OperationGap) this.#telemetry.count("operations", "gap");
    if (refusal instanceof OperationConflict) this.#telemetry.count("operations", "conflict");
    return refusal;
  }
}

/** The log changes faster than it can be listed. */
class Outdated extends StorageUnavailable {
  constructor() {
    super("the log was changed during each of several lists");
  }
}

/**
 * Reserves room for objects that the current listing lacks, or returns why they may not be stored.
 * Nothing is awaited in here, so that no other append comes between.
 */
function decide(
  listing: Listing,
  batch: Batch,
  added: Added | Error,
  policy: AppendPolicy,
): AppendPlan | Error {
  if (added instanceof Error) return added;
  const reservation = policy.reserve(additionOf(batch, added), listing);
  return reservation instanceof Error ? reservation : { ...added, reservation };
}

type Added = Pick<AppendPlan, "objects" | "snapshot">;

function addedBy(objects: readonly NewObject[], snapshot: NewSnapshot | undefined | Error) {
  return snapshot instanceof Error ? snapshot : { objects, snapshot };
}

function additionOf({ user, client }: Batch, { objects, snapshot }: Added): Addition {
  const bytes = objects.reduce((sum, { body }) => sum + body.byteLength, snapshot?.size ?? 0);
  return { user, client, objects: objects.length + (snapshot === undefined ? 0 : 1), bytes };
}

/** The marker without its body, which a listing does not keep. */
function listedOf({ user, at, client, index, md5, size }: NewSnapshot): ListedSnapshot {
  return { user, at, client, index, md5, size };
}
