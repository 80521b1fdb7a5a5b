import type { Footprint, Listing } from "../oplog/listing.ts";
import type { Fingerprint } from "../oplog/names.ts";
import type { Addition, Reservation } from "../oplog/policy.ts";

/** Refused: the user has stored as much as the quota allows. */
export class QuotaExceeded extends Error {
  override name = "QuotaExceeded";
  readonly code = "quota-exceeded";
  readonly members: {
    readonly quota: number;
    /** What is stored, and what is being stored right now. */
    readonly used: number;
    readonly setting: "QUOTA_BYTES" | "QUOTA_CLIENTS";
  };
  constructor(setting: "QUOTA_BYTES" | "QUOTA_CLIENTS", quota: number, used: number) {
    const unit = setting === "QUOTA_BYTES" ? "bytes" : "clients";
    super(`This user may store ${quota} ${unit} here (${setting}) and has ${used}`);
    this.members = { quota, used, setting };
  }
}

export interface QuotaOptions {
  /** Bytes that a user's stored objects may count with; 0 for any number. */
  readonly bytes: number;
  /** Clients that a user may have; 0 for any number. */
  readonly clients: number;
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

/** What one user is storing that no listing shows yet. */
interface UnderWay {
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
    const underWay = this.#underWay.get(user) ?? { bytes: 0, clients: new Set<string>() };
    const refusal = this.#refusal(addition, listing, underWay);
    if (refusal !== undefined) return refusal;
    this.#underWay.set(user, underWay);
    let reserved = countedBytes(addition);
    underWay.bytes += reserved;
    underWay.clients.add(client);
    return {
      stored(bytes) {
        const counted = countedBytes({ objects: 1, bytes });
        underWay.bytes -= counted;
        reserved -= counted;
      },
      end: () => {
        underWay.bytes -= reserved;
        underWay.clients.delete(client);
        if (underWay.clients.size === 0) this.#underWay.delete(user);
      },
    };
  }

  #refusal(addition: Addition, listing: Listing, underWay: UnderWay): QuotaExceeded | undefined {
    const { client } = addition;
    const { unsigned = false, ...quota } = this.#options;
    const times = unsigned && listing.signed ? 2 : 1;
    const used = countedBytes(listing.footprint) + underWay.bytes;
    if (quota.bytes > 0 && used + countedBytes(addition) > times * quota.bytes) {
      return new QuotaExceeded("QUOTA_BYTES", times * quota.bytes, used);
    }
    if (quota.clients === 0 || listing.clients.has(client)) return undefined;
    let clients = listing.clients.size;
    for (const name of underWay.clients) if (!listing.clients.has(name)) clients++;
    return clients < times * quota.clients
      ? undefined
      : new QuotaExceeded("QUOTA_CLIENTS", times * quota.clients, clients);
  }
}

/** What objects count with. */
function countedBytes({ objects, bytes }: Footprint): number {
  return bytes + objects * BYTES_PER_OBJECT;
}
