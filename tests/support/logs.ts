/** Logs without a server around them: what is stored, and processes that work on it. */

import { Log } from "../../oplog/appender.ts";
import {
  CompactionScheduler,
  type CompactionSchedulerOptions,
} from "../../oplog/compaction/scheduler.ts";
import { EntryReader } from "../../oplog/entries.ts";
import { ListingCache } from "../../oplog/listing-cache.ts";
import { type Fingerprint, formatName } from "../../oplog/names.ts";
import { ObjectCache } from "../../oplog/object-cache.ts";
import { encodeSegment } from "../../oplog/segment.ts";
import { type Driver, md5Of } from "../../storage/driver.ts";
import { RecordingTelemetry } from "./telemetry.ts";

/** A process of its own over some storage, with caches of its own and no payload cache. */
export interface Process {
  readonly listings: ListingCache;
  readonly compactor: CompactionScheduler;
  readonly log: Log;
  readonly telemetry: RecordingTelemetry;
}

/**
 * @param ttl how long it serves a listing, in milliseconds
 * @param options of its compactor, which packs 4 operations and does not wait, unless they say so
 */
export function processOn(
  driver: Driver,
  ttl: number,
  options: Partial<CompactionSchedulerOptions> = {},
): Process {
  const { now = () => performance.now() } = options;
  const telemetry = new RecordingTelemetry();
  const listings = new ListingCache(driver, { ttl, maxRuns: 10_000, now, telemetry });
  const objects = new ObjectCache(driver, 0, telemetry);
  const parts = new EntryReader(objects);
  const compactor = new CompactionScheduler({
    listings,
    objects,
    parts,
    now,
    telemetry,
    limits: { operations: 4, bytes: 100_000 },
    timing: { debounce: 0, maxDelay: 0, deleteDelay: 0, backoff: 0 },
    ...options,
  });
  const log = new Log(listings, objects, parts, undefined, telemetry);
  return { listings, compactor, log, telemetry };
}

/**
 * Stores operations as appends do that come one by one: an object each. Many at a time, and with no
 * server between, for tests of what is made of them later.
 */
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
  const name = formatName({ user, client, first, last, md5: md5Of(body) });
  await driver.put(name, body);
  return name;
}
