/** Who uses the server, and how it is set up. */

export interface Profile {
  readonly name: string;
  readonly users: number;
  readonly devicesPerUser: number;
  /** Operations that a user creates in a day, on all devices; each is sent alone. */
  readonly operationsPerDay: number;
  /** How many hours a day a device is on, and how often it polls in such an hour. */
  readonly hoursOnPerDay: number;
  readonly pollsPerHour: number;
  readonly payloadBytes: number;
  /** How many months of operations are stored. */
  readonly monthsStored: number;
  /** Devices that a user sets up in a year: each reads the whole log once. */
  readonly newDevicesPerYear: number;
  /** Settings of the server. */
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

/**
 * The caches of the server, and how devices learn of news. Without caches means `LISTING_TTL=0` and
 * `OBJECT_CACHE_BYTES=0`. In the last two, devices wait for news instead of polling, and `LISTING_TTL` is
 * 30 seconds.
 */
export type Setup =
  | "without caches"
  | "LISTING_TTL=30s"
  | "LISTING_TTL=forever"
  | "waiting"
  | "two servers with Redis";
export const SETUPS: readonly Setup[] = [
  "without caches",
  "LISTING_TTL=30s",
  "LISTING_TTL=forever",
  "waiting",
  "two servers with Redis",
];
