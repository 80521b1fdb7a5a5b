/** The prices of S3 services, and what a month's usage costs. */
import type { Usage } from "./usage.ts";

/** The prices of a service, in USD. */
export interface Prices {
  readonly service: string;
  /** Per GB and month, and how many GB are free. */
  readonly storage: number;
  readonly freeStorage: number;
  /** Per million requests. Those that share a price share the free allowance. */
  readonly putOrList: number;
  readonly freePutOrList: number;
  readonly get: number;
  readonly freeGet: number;
  /** Per GB sent out, and how many GB are free, by the GB stored. */
  readonly traffic: number;
  readonly freeTraffic: (storedGB: number) => number;
  /** Whether listings count as traffic, besides the objects. */
  readonly listsAreTraffic: boolean;
}

const noTraffic = { traffic: 0, freeTraffic: () => 0, listsAreTraffic: false };

/**
 * Public list prices of 2026, without tax and without offers for new accounts. Free allowances are
 * counted as if nothing else in the account used them. Check them before you rely on them.
 *
 * - AWS, https://aws.amazon.com/s3/pricing/: S3 Standard, us-east-1, first 50 TB. Traffic to a
 *   server in the same region is free; elsewhere the first 100 GB of everything that AWS sends are.
 * - Cloudflare, https://developers.cloudflare.com/r2/pricing/: R2 Standard. Class A is PUT and
 *   LIST, class B is GET.
 * - Backblaze, https://www.backblaze.com/cloud-storage/pricing: B2, pay as you go, since May 2026:
 *   requests of the classes A, B and C are free, and so is traffic up to three times the stored bytes.
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

/** The cost of a month, in USD. */
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
