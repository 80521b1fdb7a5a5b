import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Claimed, Cluster, Version } from "../cluster/cluster.ts";
import type { Listing } from "../oplog/listing.ts";
import type { ListingCache } from "../oplog/listing-cache.ts";
import type { Fingerprint } from "../oplog/names.ts";
import type { Addition, RoomClaim } from "../oplog/policy.ts";
import { countedBytes, type Quota, type QuotaExceeded } from "./quota.ts";

/**
 * The open claims of a user on this server, and what was stored under them: the listing has that, and so
 * have the claims, and it must not count twice.
 */
interface Open {
  claims: number;
  bytes: number;
  objects: number;
  clients: number;
}

const NOTHING: Readonly<Open> = { claims: 0, bytes: 0, objects: 0, clients: 0 };

/** How often, and how many milliseconds apart, an append asks again for room that others have claimed. */
const TRIES = 20;
const PAUSE_MS = 50;

/** Holds the quota of a log to which several servers append at once. */
export class QuotaClaims {
  readonly #cluster: Cluster;
  readonly #quota: Quota;
  readonly #listings: ListingCache;
  readonly #pause: () => Promise<void>;
  readonly #open = new Map<Fingerprint, Open>();

  /** @param pause waited for before an append asks again for room that others have claimed */
  constructor(
    cluster: Cluster,
    quota: Quota,
    listings: ListingCache,
    pause: () => Promise<void> = () => sleep(PAUSE_MS),
  ) {
    this.#pause = pause;
    this.#cluster = cluster;
    this.#quota = quota;
    this.#listings = listings;
  }

  /**
   * Claims room for an addition, as `AppendPolicy.claim` does. `undefined` where there is so much room that
   * all servers together do not use it up at once, and where the cluster cannot be reached.
   */
  claim(
    addition: Addition,
    listing: Listing,
  ): Promise<RoomClaim | QuotaExceeded | "outdated" | undefined> | undefined {
    const { user } = addition;
    if (!this.#cluster.isJoined || this.#quota.hasPlenty(addition, listing)) return undefined;
    const { version } = this.#listings.shown(user);
    const isShown = this.#listings.current(user) === listing && version !== undefined;
    if (!isShown || !this.#cluster.follows(version)) return Promise.resolve("outdated");
    return this.#claimWhenFree(addition, listing, version);
  }

  /**
   * As `#claim`, but where others have claimed what is missing, waits a moment: what they have stored of it
   * may be in the listing as well, and they may not need the rest.
   */
  async #claimWhenFree(
    addition: Addition,
    listing: Listing,
    version: Version,
  ): Promise<RoomClaim | QuotaExceeded | "outdated" | undefined> {
    for (let tries = 1; ; tries++) {
      const claimed = await this.#claim(addition, listing, version);
      if (!(claimed instanceof Contested)) return claimed;
      if (tries === TRIES) return claimed.refusal;
      await this.#pause();
    }
  }

  async #claim(
    addition: Addition,
    listing: Listing,
    version: Version,
  ): Promise<RoomClaim | QuotaExceeded | Contested | "outdated" | undefined> {
    const { user, client, objects } = addition;
    const stored = this.#open.get(user) ?? NOTHING;
    const room = this.#quota.roomIn(user, listing);
    const id = randomUUID();
    const isNewClient = !listing.clients.has(client);
    const claimed = await this.#cluster.claim({
      id,
      log: user,
      version,
      client,
      isNewClient,
      objects,
      bytes: countedBytes(addition),
      room: {
        bytes: room.bytes + stored.bytes,
        clients: room.clients + stored.clients,
        size: room.size + stored.objects + stored.clients * room.runsPerClient,
        runsPerClient: room.runsPerClient,
      },
    });
    if (claimed === undefined) return undefined;
    if (claimed.outcome === "outdated") return "outdated";
    if (claimed.outcome !== "granted")
      return this.#exceeded(claimed.outcome, user, listing, claimed);
    const open = this.#open.get(user) ?? { ...NOTHING };
    this.#open.set(user, open);
    return new QuotaClaim(id, isNewClient, open, (wasAnnounced) => {
      if (open.claims === 0) this.#open.delete(user);
      if (!wasAnnounced) this.#cluster.release(user, id);
    });
  }

  #exceeded(
    setting: "bytes" | "clients" | "size",
    user: Fingerprint,
    listing: Listing,
    claimed: Claimed,
  ): QuotaExceeded | Contested {
    const stored = this.#open.get(user) ?? NOTHING;
    const refusal = this.#quota.exceeded(setting, user, listing, {
      bytes: claimed.bytes - stored.bytes,
      clients: claimed.clients - stored.clients,
      objects: claimed.objects - stored.objects,
    });
    return claimed.objects === 0 ? refusal : new Contested(refusal);
  }
}

/** The refusal of what others have claimed. */
class Contested {
  readonly refusal: QuotaExceeded;

  constructor(refusal: QuotaExceeded) {
    this.refusal = refusal;
  }
}

/** The claim of one append. */
class QuotaClaim implements RoomClaim {
  readonly id: string;
  readonly #isNewClient: boolean;
  readonly #open: Open;
  readonly #onEnd: (wasAnnounced: boolean) => void;
  readonly #stored = { bytes: 0, objects: 0, clients: 0 };
  #hasEnded = false;

  constructor(
    id: string,
    isNewClient: boolean,
    open: Open,
    onEnd: (wasAnnounced: boolean) => void,
  ) {
    this.id = id;
    this.#isNewClient = isNewClient;
    this.#open = open;
    this.#onEnd = onEnd;
    open.claims++;
  }

  stored(bytes: number): void {
    const isFirst = this.#stored.objects === 0;
    this.#add(countedBytes({ objects: 1, bytes }), 1, isFirst && this.#isNewClient ? 1 : 0);
  }

  announcing(): void {
    this.#end(true);
  }

  release(): void {
    this.#end(false);
  }

  #end(wasAnnounced: boolean): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    const { bytes, objects, clients } = this.#stored;
    this.#add(-bytes, -objects, -clients);
    this.#open.claims--;
    this.#onEnd(wasAnnounced);
  }

  #add(bytes: number, objects: number, clients: number): void {
    for (const counts of [this.#open, this.#stored]) {
      counts.bytes += bytes;
      counts.objects += objects;
      counts.clients += clients;
    }
  }
}
