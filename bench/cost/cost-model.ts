/**
 * What S3 storage costs in a month: from who uses the server, to the requests it makes, to money.
 *
 * The counts of requests are those that the ledger test asserts on the wire.
 */
import { RUNS_PER_USER } from "../../oplog/listing-cache.ts";
import { BYTES_PER_ENTRY } from "../../oplog/object-cache.ts";
import { type PackedClient, packedClient } from "./packing-model.ts";

export interface Profile {
  readonly name: string;
  readonly users: number;
  readonly devicesPerUser: number;
  /** Operations that a user creates in a day, on all devices; each is sent by itself. */
  readonly operationsPerDay: number;
  /** How many hours a day a device is on, and how often it asks for news in such an hour. */
  readonly hoursOnPerDay: number;
  readonly pollsPerHour: number;
  readonly payloadBytes: number;
  /** How many months of operations are stored. */
  readonly monthsStored: number;
  /** Devices that a user sets up in a year: each fetches the whole log once. */
  readonly newDevicesPerYear: number;
  /** The settings of the server. */
  readonly listingCacheRuns: number;
  readonly objectCacheBytes: number;
}

const KiB = 2 ** 10;
const MiB = 2 ** 20;
const defaults = { listingCacheRuns: 1_000_000, objectCacheBytes: 64 * MiB };

export const PROFILES: readonly Profile[] = [
  {
    name: "one person",
    users: 1,
    devicesPerUser: 3,
    operationsPerDay: 20,
    hoursOnPerDay: 8,
    pollsPerHour: 12,
    payloadBytes: KiB,
    monthsStored: 12,
    newDevicesPerYear: 1,
    ...defaults,
  },
  {
    name: "team of 10",
    users: 10,
    devicesPerUser: 3,
    operationsPerDay: 50,
    hoursOnPerDay: 10,
    pollsPerHour: 12,
    payloadBytes: KiB,
    monthsStored: 12,
    newDevicesPerYear: 1,
    ...defaults,
  },
  {
    name: "10,000 users",
    users: 10_000,
    devicesPerUser: 3,
    operationsPerDay: 10,
    hoursOnPerDay: 4,
    pollsPerHour: 12,
    payloadBytes: KiB,
    monthsStored: 6,
    newDevicesPerYear: 1,
    listingCacheRuns: 5_000_000,
    objectCacheBytes: 256 * MiB,
  },
];

/** How the server is set up. Without caches: `LISTING_TTL=0` and `OBJECT_CACHE_BYTES=0`. */
export type Setup = "without caches" | "LISTING_TTL=30s" | "LISTING_TTL=forever";
export const SETUPS: readonly Setup[] = [
  "without caches",
  "LISTING_TTL=30s",
  "LISTING_TTL=forever",
];

/** How often the server is started in a month; its caches are empty then. */
const STARTS_PER_MONTH = 1;

const DAYS_PER_MONTH = 365 / 12;

/** S3 lists at most this many objects in one request. */
const OBJECTS_PER_LIST = 1000;

/** What an object takes in the answer to a LIST: its key, time, hash and size, in XML. */
const BYTES_PER_LISTED_OBJECT = 400;

/** What the server asks of S3 in a month. */
export interface Usage {
  readonly put: number;
  readonly get: number;
  readonly list: number;
  /** Free at all services below. */
  readonly delete: number;
  /** Bytes that are stored, and bytes that S3 sends: of objects, and of lists. */
  readonly stored: number;
  readonly sentByGet: number;
  readonly sentByList: number;
}

/** How many operations are stored for one user. */
export function operationsPerUser(profile: Profile): number {
  return Math.round(profile.operationsPerDay * DAYS_PER_MONTH * profile.monthsStored);
}

const clients = new WeakMap<Profile, PackedClient>();

/** One client of a user: all devices create as many operations. */
function clientOf(profile: Profile): PackedClient {
  const { devicesPerUser, payloadBytes } = profile;
  const operations = Math.round(operationsPerUser(profile) / devicesPerUser);
  const client = clients.get(profile) ?? packedClient(operations, payloadBytes);
  clients.set(profile, client);
  return client;
}

/** How many objects are stored for one user, after compaction. */
export function objectsPerUser(profile: Profile): number {
  return Math.round(profile.devicesPerUser * clientOf(profile).objects);
}

/** How many requests it takes to list one user. */
export function listsPerListing(profile: Profile): number {
  return Math.max(1, Math.ceil(objectsPerUser(profile) / OBJECTS_PER_LIST));
}

/** What the profile's users make the server ask of S3 in a month. */
export function usageOf(profile: Profile, setup: Setup): Usage {
  const { users, devicesPerUser, payloadBytes, monthsStored } = profile;
  const objects = objectsPerUser(profile);
  const client = clientOf(profile);
  const stored = devicesPerUser * client.stored;
  const appends = profile.operationsPerDay * DAYS_PER_MONTH;
  // To each other device of the user once, and the whole log to each new device.
  const deliveries = appends * (devicesPerUser - 1) * missedShare(profile, setup);
  const firstSyncs = profile.newDevicesPerYear / 12;
  // In a month like any other: what packing the whole log has asked for, by its months.
  const packing = (requests: number) => (devicesPerUser * requests) / monthsStored;
  // Each segment is followed by a look whether its user was erased meanwhile.
  const listings = listingsPerUser(profile, setup) + packing(client.put);
  return {
    put: users * (appends + packing(client.put)),
    get: users * (deliveries + firstSyncs * objects + packing(client.get)),
    list: users * listings * listsPerListing(profile),
    delete: users * packing(client.delete),
    stored: users * stored,
    sentByGet:
      users * (deliveries * payloadBytes + firstSyncs * stored + packing(client.sentByGet)),
    sentByList: users * listings * objects * BYTES_PER_LISTED_OBJECT,
  };
}

/** How often the listing of one user is read from storage in a month. */
function listingsPerUser(profile: Profile, setup: Setup): number {
  const { devicesPerUser, pollsPerHour, hoursOnPerDay, operationsPerDay } = profile;
  const pollsPerDay = devicesPerUser * pollsPerHour * hoursOnPerDay;
  const firstSyncs = profile.newDevicesPerYear / 12;
  if (setup === "without caches") {
    // A request with an operation looks twice: before it stores, and for what it answers.
    return DAYS_PER_MONTH * (pollsPerDay + 2 * operationsPerDay) + firstSyncs;
  }
  const cachedRuns = profile.users * (objectsPerUser(profile) + RUNS_PER_USER);
  if (cachedRuns > profile.listingCacheRuns) {
    throw new Error(`LISTING_CACHE_RUNS does not hold the listings of: ${profile.name}`);
  }
  if (setup === "LISTING_TTL=forever") return STARTS_PER_MONTH;
  // Every request that comes 30 seconds or more after the last listing reads it again.
  const mostPerDay = (3600 / 30) * hoursOnPerDay;
  return DAYS_PER_MONTH * Math.min(pollsPerDay + operationsPerDay, mostPerDay) + firstSyncs;
}

/** The share of deliveries for which the payload is no longer in the cache. */
function missedShare(profile: Profile, setup: Setup): number {
  if (setup === "without caches") return 1;
  const entry = profile.payloadBytes + BYTES_PER_ENTRY;
  const writtenPerHour = (profile.users * profile.operationsPerDay * entry) / 24;
  const hoursKept = profile.objectCacheBytes / writtenPerHour;
  // A device that is off while an operation comes fetches it up to this many hours later.
  const hoursOff = 24 - profile.hoursOnPerDay;
  return hoursKept >= hoursOff ? 0 : (hoursOff / 24) * (1 - hoursKept / hoursOff);
}

/** What a service charges, in USD. */
export interface Prices {
  readonly service: string;
  /** For a GB in a month, and how many GB are free. */
  readonly storage: number;
  readonly freeStorage: number;
  /** For a million requests. Those that share a price share what is free. */
  readonly putOrList: number;
  readonly freePutOrList: number;
  readonly get: number;
  readonly freeGet: number;
  /** For a GB sent out, and how many GB are free when so many are stored. */
  readonly traffic: number;
  readonly freeTraffic: (storedGB: number) => number;
  /** What counts as sent out besides the objects. */
  readonly listsAreTraffic: boolean;
}

const noTraffic = { traffic: 0, freeTraffic: () => 0, listsAreTraffic: false };

/**
 * Public list prices of 2026, without tax and without offers for new accounts. Free allowances are
 * counted as if nothing else in the account used them. Check them before you rely on them.
 *
 * - AWS, https://aws.amazon.com/s3/pricing/: S3 Standard, us-east-1, first 50 TB. Traffic to a
 *   server in the same region is free; elsewhere the first 100 GB are, of all that AWS sends.
 * - Cloudflare, https://developers.cloudflare.com/r2/pricing/: R2 Standard. Class A is PUT and
 *   LIST, class B is GET.
 * - Backblaze, https://www.backblaze.com/cloud-storage/pricing: B2, pay as you go, since May 2026:
 *   requests of the classes A, B and C are free, and so is traffic of three times what is stored.
 */
const aws = {
  storage: 0.023,
  freeStorage: 0,
  putOrList: 5,
  freePutOrList: 0,
  get: 0.4,
  freeGet: 0,
};

export const PRICES: readonly Prices[] = [
  { service: "AWS S3, server in its region", ...aws, ...noTraffic },
  {
    service: "AWS S3, server elsewhere",
    ...aws,
    traffic: 0.09,
    freeTraffic: () => 100,
    listsAreTraffic: true,
  },
  {
    service: "Cloudflare R2",
    storage: 0.015,
    freeStorage: 10,
    putOrList: 4.5,
    freePutOrList: 1_000_000,
    get: 0.36,
    freeGet: 10_000_000,
    ...noTraffic,
  },
  {
    service: "Backblaze B2",
    storage: 0.00695,
    freeStorage: 10,
    putOrList: 0,
    freePutOrList: 0,
    get: 0,
    freeGet: 0,
    traffic: 0.01,
    freeTraffic: (storedGB) => 3 * storedGB,
    listsAreTraffic: false,
  },
];

/** What a month's usage costs, in USD. */
export function costOf(usage: Usage, prices: Prices): number {
  const GB = 1e9;
  const storedGB = usage.stored / GB;
  const sentGB = (usage.sentByGet + (prices.listsAreTraffic ? usage.sentByList : 0)) / GB;
  const above = (used: number, free: number) => Math.max(0, used - free);
  return (
    above(storedGB, prices.freeStorage) * prices.storage +
    (above(usage.put + usage.list, prices.freePutOrList) * prices.putOrList) / 1e6 +
    (above(usage.get, prices.freeGet) * prices.get) / 1e6 +
    above(sentGB, prices.freeTraffic(storedGB)) * prices.traffic
  );
}
