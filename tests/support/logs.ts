/** Logs without a server: what is stored, and processes that use it. */

import { Appender } from "../../oplog/appender.ts";
import type { Covers } from "../../oplog/batch.ts";
import { segmentChecksums } from "../../oplog/checksums.ts";
import {
  CompactionScheduler,
  type CompactionSchedulerOptions,
} from "../../oplog/compaction/scheduler.ts";
import { type DamageListener, EntryReader } from "../../oplog/entries.ts";
import { ListingCache } from "../../oplog/listing-cache.ts";
import type { ListingCacheOptions } from "../../oplog/listing-cache-options.ts";
import { type Fingerprint, formatName } from "../../oplog/names.ts";
import { ObjectCache } from "../../oplog/object-cache.ts";
import type { AppendPolicy } from "../../oplog/policy.ts";
import { Reader, type Reading, type ReadOptions } from "../../oplog/reader.ts";
import { encodeSegment } from "../../oplog/segment.ts";
import { Snapshots } from "../../oplog/snapshots.ts";
import { NO_TELEMETRY } from "../../oplog/telemetry.ts";
import { type Driver, md5Of } from "../../storage/driver.ts";
import { RecordingTelemetry } from "./telemetry.ts";

/** A log as tests use it: appends and reads are unrestricted unless a policy is passed. */
export interface Log {
  append(
    user: Fingerprint,
    client: string,
    first: number,
    payloads: readonly string[],
    policy?: Partial<AppendPolicy> & { readonly snapshot?: Covers },
  ): Promise<void>;
  read(
    user: Fingerprint,
    versionVector: ReadonlyMap<string, number>,
    options?: Partial<ReadOptions>,
  ): Promise<Reading>;
}

/** A listing cache. Unless the options say otherwise, storage is listed for every request. */
export function listingsOn(
  driver: Driver,
  options: Partial<ListingCacheOptions> = {},
): ListingCache {
  const now = () => 0;
  return new ListingCache({
    driver,
    ttl: 0,
    maxRuns: 10_000,
    now,
    telemetry: NO_TELEMETRY,
    ...options,
  });
}

/** A payload cache, which by default caches nothing. */
export function objectsOn(driver: Driver, maxBytes = 0): ObjectCache {
  return new ObjectCache({ driver, maxBytes, telemetry: NO_TELEMETRY });
}

/** The log over these caches. */
export function logOver(
  listings: ListingCache,
  objects: ObjectCache,
  telemetry = NO_TELEMETRY,
  time = Date.now,
): Log {
  const onDamaged: DamageListener = (user, error) => listings.damaged(user, error);
  const entries = new EntryReader({ read: (name) => objects.get(name), onDamaged });
  const snapshots = new Snapshots({ objects, time, onDamaged });
  const appender = new Appender({ listings, objects, entries, snapshots, telemetry });
  const reader = new Reader({ listings, entries, snapshots, telemetry });
  const check = () => undefined;
  const reserve = () => ({ stored: () => undefined, end: () => undefined });
  return {
    append: (user, client, first, payloads, policy) =>
      appender.append(
        { user, client, first, payloads, snapshot: policy?.snapshot },
        { check, reserve, ...policy },
      ),
    read: (user, versionVector, options) => reader.read(user, versionVector, { check, ...options }),
  };
}

/** A process over some storage, with its own listing cache and no payload cache. */
export interface Process {
  readonly listings: ListingCache;
  readonly compactor: CompactionScheduler;
  readonly log: Log;
  readonly telemetry: RecordingTelemetry;
}

/**
 * @param ttl how long a cached listing is used, in milliseconds
 * @param options of the compactor, which by default packs 4 operations and does not wait
 */
export function processOn(
  driver: Driver,
  ttl: number,
  options: Partial<CompactionSchedulerOptions> = {},
): Process {
  const { now = () => performance.now() } = options;
  const telemetry = new RecordingTelemetry();
  const listings = new ListingCache({ driver, ttl, maxRuns: 10_000, now, telemetry });
  const objects = new ObjectCache({ driver, maxBytes: 0, telemetry });
  const compactor = new CompactionScheduler({
    driver,
    listings,
    objects,
    now,
    telemetry,
    limits: { operations: 4, bytes: 100_000 },
    timing: { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 0 },
    ...options,
  });
  return { listings, compactor, log: logOver(listings, objects, telemetry), telemetry };
}

/** Stores operations as single appends do, an object each, many at a time and without a server. */
export async function storeEach(
  driver: Driver,
  user: Fingerprint,
  client: string,
  payloads: readonly string[],
): Promise<void> {
  const queue = payloads.entries();
  const storing = async () => {
    for (const [index, payload] of queue) await storeRun(driver, user, client, index, payload);
  };
  await Promise.all(Array.from({ length: 32 }, storing));
}

/** Stores an object as an append does: a single operation, or a segment of several. */
export async function storeRun(
  driver: Driver,
  user: Fingerprint,
  client: string,
  first: number,
  ...payloads: string[]
): Promise<string> {
  const single = new TextEncoder().encode(payloads[0]);
  const body = payloads.length === 1 ? single : encodeSegment(client, first, payloads);
  const last = first + payloads.length - 1;
  const checksums = payloads.length === 1 ? { md5: md5Of(body) } : segmentChecksums(body);
  const name = formatName({ user, client, first, last, ...checksums });
  await driver.put(name, body);
  return name;
}
