/** Puts the parts of the server together, as the settings say. */
import { setTimeout as sleep } from "node:timers/promises";
import { AnomalyMonitor } from "../oplog/anomalies.ts";
import { Appender } from "../oplog/appender.ts";
import type { PackingLimits } from "../oplog/compaction/planner.ts";
import { CompactionScheduler, type CompactionTiming } from "../oplog/compaction/scheduler.ts";
import { EntryReader } from "../oplog/entries.ts";
import { ListingCache } from "../oplog/listing-cache.ts";
import { ObjectCache } from "../oplog/object-cache.ts";
import { Reader } from "../oplog/reader.ts";
import type { Telemetry } from "../oplog/telemetry.ts";
import type { Driver } from "../storage/driver.ts";
import { InstrumentedDriver } from "../storage/instrumented.ts";
import { Access } from "../sync/access.ts";
import { Erasures } from "../sync/erasure.ts";
import { Quota } from "../sync/quota.ts";
import { RateLimiter } from "../sync/rate-limiter.ts";
import { SignatureVerifier } from "../sync/signature-verifier.ts";
import { AllowListFile } from "./allow-list-file.ts";
import type { Config } from "./config.ts";
import { ConcurrencyLimiter } from "./http/admission.ts";
import { ClientAddresses } from "./http/client-address.ts";
import { Readiness } from "./http/health.ts";
import { RequestSignatures } from "./http/signature.ts";
import { SyncEndpoint } from "./http/sync.ts";
import type { Logger } from "./logger.ts";
import { Metrics } from "./metrics.ts";

export interface WiringOptions {
  readonly config: Config;
  readonly driver: Driver;
  readonly logger: Logger;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
  /** Milliseconds of Unix time. */
  readonly time?: () => number;
  /** What is packed and when, where it is not what the defaults say. */
  readonly compaction?: { readonly limits: PackingLimits; readonly timing: CompactionTiming };
}

/** The parts that requests are answered with, and what works behind them. */
export interface Wiring {
  readonly endpoint: SyncEndpoint;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  /** Absent where compaction is turned off. */
  readonly compactor: CompactionScheduler | undefined;
}

/** How long compaction waits for a moment without requests each time it lets them go first. */
const YIELD_MS = 50;

const REQUEST_KINDS = ["list", "get", "put", "delete"] as const;

/** @param answering how many requests are being answered, the heads of their answers not sent yet */
export function wire(options: WiringOptions, answering: () => number): Wiring {
  const { config, logger, driver: storage, compaction } = options;
  const { now = () => performance.now(), time = Date.now } = options;
  const running = () => answering() + endpoint.streaming;
  const metrics = new Metrics();
  const driver = new InstrumentedDriver(storage);
  observeStorage(driver, metrics);
  const anomalies = new AnomalyMonitor({
    onFound: (user, found) => logger.error("a log is irregular", { user, ...found }),
    telemetry: metrics,
  });
  const listings = new ListingCache({
    driver,
    ttl: config.LISTING_TTL,
    maxRuns: config.LISTING_CACHE_RUNS,
    now,
    telemetry: metrics,
  });
  listings.onLoad(anomalies.inspect);
  const objects = new ObjectCache({
    driver,
    maxBytes: config.OBJECT_CACHE_BYTES,
    telemetry: metrics,
  });
  const onForks = anomalies.reportForks;
  const entries = new EntryReader({ read: (name) => objects.get(name), onForks });
  const erasures = new Erasures({
    driver,
    listings,
    objects,
    time,
    telemetry: metrics,
    onFailure: (user, error) => logger.error("an erased user is not swept yet", { user, error }),
  });
  const compactor =
    config.COMPACTION === "off"
      ? undefined
      : new CompactionScheduler({
          listings,
          objects,
          onForks,
          now,
          telemetry: metrics,
          settle: (user) => erasures.settleAfresh(user),
          pause: () => untilIdle(running),
          onError: (user, error) => logger.error("a compaction failed", { user, error }),
          ...compaction,
        });
  if (compactor !== undefined) {
    listings.onLoad((user, listing) => compactor.loaded(user, listing));
  }
  const appender = new Appender({
    listings,
    objects,
    entries,
    onAppended: (user) => compactor?.appended(user),
    telemetry: metrics,
  });
  const reader = new Reader({ listings, entries, telemetry: metrics });
  const limiter =
    config.RATE_LIMIT > 0
      ? new RateLimiter({
          rate: config.RATE_LIMIT,
          burst: config.RATE_BURST,
          now,
          telemetry: metrics,
        })
      : undefined;
  const access = new Access({ driver, listings, erasures, telemetry: metrics });
  const signatures = new RequestSignatures({
    publicUrl: config.PUBLIC_URL,
    keys: new SignatureVerifier(),
    time,
    telemetry: metrics,
  });
  const newUsers =
    config.NEW_USERS_PER_HOUR > 0
      ? new RateLimiter({
          rate: config.NEW_USERS_PER_HOUR / 3600,
          burst: config.NEW_USERS_PER_HOUR,
          now,
        })
      : undefined;
  const users =
    config.USERS === "open"
      ? undefined
      : new AllowListFile({
          path: config.USERS,
          now,
          onFault: (error) => logger.error("the last good list of users holds", { error }),
        });
  const admission = new ConcurrencyLimiter({
    maxRequests: config.MAX_REQUESTS,
    maxBuffered: config.MAX_BUFFERED,
    patience: config.CLIENT_TIMEOUT,
  });
  const endpoint = new SyncEndpoint({
    maxBody: config.MAX_BODY,
    timeout: config.CLIENT_TIMEOUT,
    appender,
    reader,
    access,
    erasures,
    signatures,
    signaturesRequired: config.SIGNATURES === "required",
    addresses: new ClientAddresses(config.TRUSTED_PROXIES),
    admission,
    quota: new Quota({ bytes: config.QUOTA_BYTES, clients: config.QUOTA_CLIENTS }),
    users,
    newUsers,
    limiter,
    time,
    telemetry: metrics,
    onCut: (user, sent, error) => logger.error("a response was cut", { user, sent, error }),
  });
  const readiness = new Readiness(driver, now, (error) =>
    logger.error("storage is not ready", { error }),
  );
  metrics.observe("requests_running", running);
  metrics.observe("buffered_bytes", () => admission.bytes);
  metrics.observe("log_lines_lost", logger.lostLines);
  return { endpoint, readiness, metrics, compactor };
}

/** Reports what an instrumented driver has counted: `storage/` knows no telemetry. */
function observeStorage({ requests, failures, bytes }: InstrumentedDriver, to: Telemetry): void {
  for (const kind of REQUEST_KINDS) {
    to.observe("storage_requests", () => requests[kind], kind);
    to.observe("storage_failures", () => failures[kind], kind);
  }
  to.observe("storage_bytes", () => bytes.read, "read");
  to.observe("storage_bytes", () => bytes.written, "written");
}

/** Waits until no request is being answered, or for a moment: compaction must get on as well. */
async function untilIdle(running: () => number): Promise<void> {
  const until = performance.now() + YIELD_MS;
  while (running() > 0 && performance.now() < until) await sleep(1);
}
