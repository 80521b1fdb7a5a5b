import type { Room } from "../cluster/cluster.ts";
import { RUNS_PER_CLIENT, sizeInRuns } from "../oplog/cached-listings.ts";
import type { Footprint, Listing } from "../oplog/listing.ts";
import type { Fingerprint } from "../oplog/names.ts";
import type { Addition, Reservation } from "../oplog/policy.ts";
import type { UserLimits } from "./user-limits.ts";

const UNITS = { QUOTA_BYTES: "bytes", QUOTA_CLIENTS: "clients", LISTING_CACHE_RUNS: "runs" };

/** Refused: the user has stored as much as the quota allows. */
export class QuotaExceeded extends Error {
  override name = "QuotaExceeded";
  readonly code = "quota-exceeded";
  readonly members: {
    readonly quota: number;
    /** What is stored, and what is being stored right now. */
    readonly used: number;
    readonly setting: keyof typeof UNITS;
  };
  constructor(setting: keyof typeof UNITS, quota: number, used: number) {
    super(`This user may store ${quota} ${UNITS[setting]} here (${setting}) and has ${used}`);
    this.members = { quota, used, setting };
  }
}

export interface QuotaOptions {
  /** Bytes that a user's stored objects may count with; 0 for any number. */
  readonly bytes: number;
  /** Clients that a user may have; 0 for any number. */
  readonly clients: number;
  /**
   * How large a user's listing may become, by `sizeInRuns`; any size by default. One that does not
   * fit into the listing cache would be read from storage for each request.
   */
  readonly runs?: number;
  /**
   * True where requests without a signature may store. Until the user's first signed request, anyone
   * who knows the public key can then use up the quotas for good; so from that request on they count
   * once more.
   */
  readonly unsigned?: boolean;
  /** What a user may store instead, where that is said. */
  readonly limitsOf?: ((user: Fingerprint) => UserLimits | undefined) | undefined;
}

/**
 * An object counts with its bytes and this many more: a file takes whole blocks of a disk, which have
 * 4 KiB nearly everywhere, however short it is.
 */
export const BYTES_PER_OBJECT = 4096;

/** However low the quota is, a sync status may name this many clients. */
const LEAST_BOUND = 10_000;

/**
 * How many clients a sync status may name, by the quota of clients. More than the quota: it may have
 * been lowered, several servers may have exceeded it, and a device names what it has seen.
 */
export function mostClients(quota: number): number {
  return quota === 0 ? Number.POSITIVE_INFINITY : Math.max(LEAST_BOUND, 2 * quota);
}

/** However small the listing cache is, a user may have a listing of this size: it is read in a second. */
const LEAST_RUNS = 100_000;

/** How large a user's listing may become, by the size of the listing cache. */
export function mostRuns(cacheRuns: number): number {
  return Math.max(LEAST_RUNS, cacheRuns);
}

/**
 * Room that exceeds what all servers together are expected to be appending to one log: four times the
 * default of `MAX_BUFFERED`, a thousand clients, and as many runs as every user may have. If an append
 * leaves at least this much room, servers need not ask each other.
 */
const PLENTY = { bytes: 512 * 1024 * 1024, clients: 1000, size: LEAST_RUNS };

/** What one user is storing that no listing shows yet. */
interface UnderWay {
  objects: number;
  /** What the objects count with. */
  bytes: number;
  /** Clients that append; each has one append at a time. */
  readonly clients: Set<string>;
}

/** Limits how much a user stores. The listing has what is stored; what is under way is kept here. */
export class Quota {
  readonly #options: QuotaOptions;
  readonly #underWay = new Map<Fingerprint, UnderWay>();

  constructor(options: QuotaOptions) {
    this.#options = options;
  }

  /** True while an append of the user is under way. */
  isAppending(user: Fingerprint): boolean {
    return this.#underWay.has(user);
  }

  /**
   * Takes note of what is about to be stored, so that appends side by side cannot go beyond the
   * quota together; or says why it may not be.
   */
  reserve(addition: Addition, listing: Listing): Reservation | QuotaExceeded {
    const underWay = this.#underWay.get(addition.user) ?? {
      objects: 0,
      bytes: 0,
      clients: new Set(),
    };
    const refusal = this.#refusal(addition, listing, underWay);
    if (refusal !== undefined) return refusal;
    return new QuotaReservation(this.#underWay, underWay, addition);
  }

  /** Whether there is so much room that servers need not ask each other. */
  hasPlenty({ user, client, objects, bytes }: Addition, listing: Listing): boolean {
    const room = this.roomIn(user, listing);
    return (
      room.bytes - countedBytes({ objects, bytes }) >= PLENTY.bytes &&
      (listing.clients.has(client) || room.clients >= PLENTY.clients) &&
      room.size - objects >= PLENTY.size
    );
  }

  /** What a log has room for beside what is listed. */
  roomIn(user: Fingerprint, listing: Listing): Room {
    const { runs = Number.POSITIVE_INFINITY } = this.#options;
    const [bytes, clients] = this.#limits(user, listing);
    return {
      bytes: bytes > 0 ? bytes - countedBytes(listing.footprint) : Number.POSITIVE_INFINITY,
      clients: clients > 0 ? clients - listing.clients.size : Number.POSITIVE_INFINITY,
      size: runs - sizeInRuns(listing.clients.size, listing.runs),
      runsPerClient: RUNS_PER_CLIENT,
    };
  }

  /** The refusal of what there is no room for, beside what others are storing. */
  exceeded(
    setting: "bytes" | "clients" | "size",
    user: Fingerprint,
    listing: Listing,
    others: Footprint & { readonly clients: number },
  ): QuotaExceeded {
    const { runs = Number.POSITIVE_INFINITY } = this.#options;
    const [bytes, clients] = this.#limits(user, listing);
    const all = listing.clients.size + others.clients;
    if (setting === "bytes") {
      return new QuotaExceeded(
        "QUOTA_BYTES",
        bytes,
        countedBytes(listing.footprint) + others.bytes,
      );
    }
    if (setting === "clients") return new QuotaExceeded("QUOTA_CLIENTS", clients, all);
    return new QuotaExceeded(
      "LISTING_CACHE_RUNS",
      runs,
      sizeInRuns(all, listing.runs + others.objects),
    );
  }

  /** How many bytes and clients a user may have. */
  #limits(user: Fingerprint, listing: Listing): [bytes: number, clients: number] {
    const { unsigned = false, limitsOf, ...settings } = this.#options;
    const { bytes, clients } = { ...settings, ...limitsOf?.(user) };
    const times = unsigned && listing.signed ? 2 : 1;
    return [times * bytes, times * clients];
  }

  #refusal(addition: Addition, listing: Listing, underWay: UnderWay): QuotaExceeded | undefined {
    const { user, client, objects } = addition;
    const { runs = Number.POSITIVE_INFINITY } = this.#options;
    const [maxBytes, maxClients] = this.#limits(user, listing);
    const used = maxBytes > 0 ? countedBytes(listing.footprint) + underWay.bytes : 0;
    if (maxBytes > 0 && used + countedBytes(addition) > maxBytes) {
      return new QuotaExceeded("QUOTA_BYTES", maxBytes, used);
    }
    let clients = listing.clients.size;
    for (const name of underWay.clients) if (!listing.clients.has(name)) clients++;
    const isNew = !listing.clients.has(client) && !underWay.clients.has(client);
    const size = sizeInRuns(clients, listing.runs + underWay.objects);
    if (sizeInRuns(clients + (isNew ? 1 : 0), listing.runs + underWay.objects + objects) > runs) {
      return new QuotaExceeded("LISTING_CACHE_RUNS", runs, size);
    }
    if (maxClients === 0 || listing.clients.has(client)) return undefined;
    return clients < maxClients
      ? undefined
      : new QuotaExceeded("QUOTA_CLIENTS", maxClients, clients);
  }
}

/** A part of what a user is storing: that of one append. A class, so that an append makes no closures. */
class QuotaReservation implements Reservation {
  readonly #users: Map<Fingerprint, UnderWay>;
  readonly #underWay: UnderWay;
  readonly #addition: Addition;
  /** What of it is reserved still. */
  #objects: number;
  #bytes: number;

  /** @param users where `underWay` is kept as long as there is a reservation */
  constructor(users: Map<Fingerprint, UnderWay>, underWay: UnderWay, addition: Addition) {
    this.#users = users;
    this.#underWay = underWay;
    this.#addition = addition;
    this.#objects = addition.objects;
    this.#bytes = countedBytes(addition);
    underWay.objects += this.#objects;
    underWay.bytes += this.#bytes;
    underWay.clients.add(addition.client);
    users.set(addition.user, underWay);
  }

  stored(bytes: number): void {
    this.#release(1, countedBytes({ objects: 1, bytes }));
  }

  end(): void {
    const { user, client } = this.#addition;
    this.#release(this.#objects, this.#bytes);
    this.#underWay.clients.delete(client);
    if (this.#underWay.clients.size === 0) this.#users.delete(user);
  }

  #release(objects: number, bytes: number): void {
    this.#underWay.objects -= objects;
    this.#underWay.bytes -= bytes;
    this.#objects -= objects;
    this.#bytes -= bytes;
  }
}

/** What objects count with. */
export function countedBytes({ objects, bytes }: Footprint): number {
  return bytes + objects * BYTES_PER_OBJECT;
}
