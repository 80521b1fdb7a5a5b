/**
 * The requests that a server makes to S3 in a month, computed from a profile. tests/docs/cost.test.ts
 * checks the counts against those of a server.
 */
import { sizeInRuns } from "../../oplog/cached-listings.ts";
import { SCAN_LISTS } from "../../oplog/compaction/idle-logs.ts";
import { BYTES_PER_ENTRY } from "../../oplog/object-cache.ts";
import { type CompactedClient, compactedClient } from "./compaction.ts";
import type { Profile, Setup } from "./profiles.ts";

/** How often the server starts in a month. Its caches are empty then. */
const STARTS_PER_MONTH = 1;

const DAYS_PER_MONTH = 365 / 12;

/** `LISTING_TTL` in seconds, unless a setup says otherwise. */
const LISTING_TTL = 30;

/** For how many seconds the client waits for news, on average (`client/news.ts`). */
export const WAIT = 25;

/** The most objects in one response to LIST. */
const OBJECTS_PER_LIST = 1000;

/**
 * How often a user is listed for each segment: once it is stored, because the user may have been
 * erased meanwhile, and before the packed objects are deleted.
 */
const LISTINGS_PER_SEGMENT = 2;

/** The size of an object in the response to LIST: its key, time, hash and size, in XML. */
const BYTES_PER_LISTED_OBJECT = 400;

/** Requests and bytes of a month. */
export interface Usage {
  readonly put: number;
  readonly get: number;
  readonly list: number;
  /** Free at all services. */
  readonly delete: number;
  /** Bytes stored, and bytes that S3 sends: of objects, and of listings. */
  readonly stored: number;
  readonly sentByGet: number;
  readonly sentByList: number;
}

export class UsageModel {
  readonly operationsPerUser: number;
  /** After compaction. */
  readonly objectsPerUser: number;
  /** Requests that it takes to list one user. */
  readonly listsPerListing: number;
  readonly #profile: Profile;
  /** One client of a user: all devices create equally many operations. */
  readonly #client: CompactedClient;

  constructor(profile: Profile) {
    const { devicesPerUser, payloadBytes } = profile;
    this.#profile = profile;
    this.operationsPerUser = Math.round(
      profile.operationsPerDay * DAYS_PER_MONTH * profile.monthsStored,
    );
    const operations = Math.round(this.operationsPerUser / devicesPerUser);
    this.#client = compactedClient(operations, payloadBytes);
    this.objectsPerUser = Math.round(devicesPerUser * this.#client.objects);
    this.listsPerListing = Math.max(1, Math.ceil(this.objectsPerUser / OBJECTS_PER_LIST));
  }

  /** Throws if the listing cache does not hold the listings of all users. */
  usage(setup: Setup): Usage {
    const { users, devicesPerUser, payloadBytes, monthsStored } = this.#profile;
    const client = this.#client;
    const stored = devicesPerUser * client.stored;
    const appends = this.#profile.operationsPerDay * DAYS_PER_MONTH;
    // Each operation goes once to each other device, and the whole log to each new device.
    const missed = this.#missedShare(setup);
    // The first device that takes an operation from the server which has not stored it.
    const atOther = serversOf(setup) > 1 && devicesPerUser > 1 ? 1 - missed : 0;
    const deliveries = appends * ((devicesPerUser - 1) * missed + atOther);
    const firstSyncs = this.#profile.newDevicesPerYear / 12;
    // An average month: the compaction of the whole log, divided by its months.
    const monthly = (requests: number) => (devicesPerUser * requests) / monthsStored;
    const listings = this.#listingsPerUser(setup) + LISTINGS_PER_SEGMENT * monthly(client.put);
    // After its start, a server lists all users once, in this many parts, to find idle logs.
    const objectsInPart = (users * this.objectsPerUser) / SCAN_LISTS;
    const listsOfPart = Math.max(1, Math.ceil(objectsInPart / OBJECTS_PER_LIST));
    const starts = STARTS_PER_MONTH * serversOf(setup);
    const listed = users * this.objectsPerUser * (listings + starts);
    return {
      put: users * (appends + monthly(client.put)),
      get: users * (deliveries + firstSyncs * this.objectsPerUser + monthly(client.get)),
      list: users * listings * this.listsPerListing + starts * SCAN_LISTS * listsOfPart,
      delete: users * monthly(client.delete),
      stored: users * stored,
      sentByGet:
        users * (deliveries * payloadBytes + firstSyncs * stored + monthly(client.sentByGet)),
      sentByList: listed * BYTES_PER_LISTED_OBJECT,
    };
  }

  /** How often the listing of one user is loaded in a month. */
  #listingsPerUser(setup: Setup): number {
    const { devicesPerUser, pollsPerHour, hoursOnPerDay, operationsPerDay } = this.#profile;
    const pollsPerDay = devicesPerUser * pollsPerHour * hoursOnPerDay;
    const firstSyncs = this.#profile.newDevicesPerYear / 12;
    if (setup === "without caches") {
      // A request with an operation lists twice: before it stores, and for its response.
      return DAYS_PER_MONTH * (pollsPerDay + 2 * operationsPerDay) + firstSyncs;
    }
    const cachedRuns = this.#profile.users * sizeInRuns(devicesPerUser, this.objectsPerUser);
    if (cachedRuns > this.#profile.listingCacheRuns) {
      throw new Error(`LISTING_CACHE_RUNS does not hold the listings of: ${this.#profile.name}`);
    }
    if (setup === "LISTING_TTL=forever") return STARTS_PER_MONTH;
    // Each server lists a user once. From then on it learns of all that changes.
    if (setup === "two servers with Redis") return STARTS_PER_MONTH * serversOf(setup);
    const waitsPerDay = devicesPerUser * (3600 / WAIT) * hoursOnPerDay;
    const requestsPerDay = operationsPerDay + (setup === "waiting" ? waitsPerDay : pollsPerDay);
    // Every request `LISTING_TTL` or more after the last listing loads it again.
    const mostPerDay = (3600 / LISTING_TTL) * hoursOnPerDay;
    return DAYS_PER_MONTH * Math.min(requestsPerDay, mostPerDay) + firstSyncs;
  }

  /** The share of deliveries for which the payload is no longer in the cache. */
  #missedShare(setup: Setup): number {
    if (setup === "without caches") return 1;
    const { users, operationsPerDay, payloadBytes, objectCacheBytes } = this.#profile;
    const bytesPerHour = (users * operationsPerDay * (payloadBytes + BYTES_PER_ENTRY)) / 24;
    const hoursKept = objectCacheBytes / bytesPerHour;
    // A device that is off when an operation is stored reads it up to this many hours later.
    const hoursOff = 24 - this.#profile.hoursOnPerDay;
    return hoursKept >= hoursOff ? 0 : (hoursOff / 24) * (1 - hoursKept / hoursOff);
  }
}

function serversOf(setup: Setup): number {
  return setup === "two servers with Redis" ? 2 : 1;
}
