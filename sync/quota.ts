import { sizeInRuns } from "../oplog/cached-listings.ts";
import type { Footprint, Listing } from "../oplog/listing.ts";
import type { Fingerprint } from "../oplog/names.ts";
import type { Addition, Reservation } from "../oplog/policy.ts";

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
    const { user, client } = addition;
    const underWay = this.#underWay.get(user) ?? { objects: 0, bytes: 0, clients: new Set() };
    const refusal = this.#refusal(addition, listing, underWay);
    if (refusal !== undefined) return refusal;
    this.#underWay.set(user, underWay);
    let reserved = { objects: addition.objects, bytes: countedBytes(addition) };
    const release = ({ objects, bytes }: Footprint) => {
      underWay.objects -= objects;
      underWay.bytes -= bytes;
      reserved = { objects: reserved.objects - objects, bytes: reserved.bytes - bytes };
    };
    underWay.objects += reserved.objects;
    underWay.bytes += reserved.bytes;
    underWay.clients.add(client);
    return {
      stored: (bytes) => release({ objects: 1, bytes: countedBytes({ objects: 1, bytes }) }),
      end: () => {
        release(reserved);
        underWay.clients.delete(client);
        if (underWay.clients.size === 0) this.#underWay.delete(user);
      },
    };
  }

  #refusal(addition: Addition, listing: Listing, underWay: UnderWay): QuotaExceeded | undefined {
    const { client, objects } = addition;
    const { unsigned = false, runs = Number.POSITIVE_INFINITY, ...quota } = this.#options;
    const times = unsigned && listing.signed ? 2 : 1;
    const used = countedBytes(listing.footprint) + underWay.bytes;
    if (quota.bytes > 0 && used + countedBytes(addition) > times * quota.bytes) {
      return new QuotaExceeded("QUOTA_BYTES", times * quota.bytes, used);
    }
    let clients = listing.clients.size;
    for (const name of underWay.clients) if (!listing.clients.has(name)) clients++;
    const isNew = !listing.clients.has(client) && !underWay.clients.has(client);
    const size = sizeInRuns(clients, listing.runs + underWay.objects);
    if (sizeInRuns(clients + (isNew ? 1 : 0), listing.runs + underWay.objects + objects) > runs) {
      return new QuotaExceeded("LISTING_CACHE_RUNS", runs, size);
    }
    if (quota.clients === 0 || listing.clients.has(client)) return undefined;
    return clients < times * quota.clients
      ? undefined
      : new QuotaExceeded("QUOTA_CLIENTS", times * quota.clients, clients);
  }
}

/** What objects count with. */
function countedBytes({ objects, bytes }: Footprint): number {
  return bytes + objects * BYTES_PER_OBJECT;
}
