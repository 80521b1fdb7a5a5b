/** Builds the objects of the server from the settings, bottom-up. */
import { setTimeout as sleep } from "node:timers/promises";
import { AnomalyMonitor } from "../oplog/anomalies.ts";
import { Appender } from "../oplog/appender.ts";
import {
  CompactionScheduler,
  type CompactionSchedulerOptions,
} from "../oplog/compaction/scheduler.ts";
import { TIMING } from "../oplog/compaction/timing.ts";
import { DamagedObjects } from "../oplog/damaged-objects.ts";
import { EntryReader } from "../oplog/entries.ts";
import { ListingCache } from "../oplog/listing-cache.ts";
import { isFingerprint } from "../oplog/names.ts";
import { ObjectCache } from "../oplog/object-cache.ts";
import { Reader } from "../oplog/reader.ts";
import type { Telemetry } from "../oplog/telemetry.ts";
import type { Driver } from "../storage/driver.ts";
import { InstrumentedDriver } from "../storage/instrumented.ts";
import { Access } from "../sync/access.ts";
import { AddressLimiter } from "../sync/address-limiter.ts";
import { Erasures } from "../sync/erasure.ts";
import { PublicKeyCache } from "../sync/public-key.ts";
import { mostClients, mostRuns, Quota } from "../sync/quota.ts";
import { RateLimiter } from "../sync/rate-limiter.ts";
import { RequestParser } from "../sync/request.ts";
import { SyncService } from "../sync/service.ts";
import { SignatureVerifier } from "../sync/signature-verifier.ts";
import { Strangers } from "../sync/strangers.ts";
import { Waiters } from "../sync/waiters.ts";
import { AllowListFile } from "./allow-list-file.ts";
import type { Config } from "./config.ts";
import { BodyReader } from "./http/body-reader.ts";
import { ClientAddresses } from "./http/client-address.ts";
import { ConcurrencyLimiter } from "./http/concurrency-limiter.ts";
import { maxConnections } from "./http/connections.ts";
import { Deliveries } from "./http/deliveries.ts";
import { Readiness } from "./http/health.ts";
import { RequestSignatures } from "./http/signature.ts";
import { SyncEndpoint } from "./http/sync.ts";
import { Waits } from "./http/waits.ts";
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
  /** What is packed and when; the defaults of compaction otherwise. */
  readonly compaction?: Pick<CompactionSchedulerOptions, "limits" | "timing">;
}

/** The parts that answer requests, and those that work in the background. */
export interface Wiring {
  readonly endpoint: SyncEndpoint;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  /** Absent where compaction is turned off. */
  readonly compaction: CompactionScheduler | undefined;
  readonly waiters: Waiters;
  /**
   * How many requests are being answered: from their arrival to the last byte of the answer. Not while
   * they wait for news.
   */
  readonly running: { count: number };
}

/** How often a waiting reader looks again at least, with the shortest `LISTING_TTL`. */
const LOOK_EVERY_MS = 1000;

/** How long compaction waits for a moment without requests each time it lets them go first. */
const YIELD_MS = 50;

const REQUEST_KINDS = ["list", "get", "put", "delete"] as const;

/** The log and the service, without HTTP. */
export interface ServiceWiring {
  readonly service: SyncService;
  /** Absent where the rate limit is turned off. */
  readonly strangers: Strangers | undefined;
  /** Woken by what this process stores; `wake` is for what it learns of otherwise. */
  readonly waiters: Waiters;
  /** Absent where compaction is turned off. */
  readonly compaction: CompactionScheduler | undefined;
}

export interface ServiceWiringOptions extends WiringOptions {
  readonly telemetry: Telemetry;
  /** Waited for by compaction, so that requests go first. */
  readonly pause: () => Promise<void>;
}

/** Throws `InvalidAllowList` where the file that `USERS` names is wrong. */
export function wireService(options: ServiceWiringOptions): ServiceWiring {
  const { config, driver, logger, telemetry, pause } = options;
  const { now = () => performance.now(), time = Date.now } = options;

  // The log
  const anomalies = new AnomalyMonitor({
    onFound: (user, found) => logger.error("a log is irregular", { user, ...found }),
    telemetry,
  });
  const listings = new ListingCache({
    driver,
    ttl: config.LISTING_TTL,
    maxRuns: config.LISTING_CACHE_RUNS,
    now,
    time,
    damaged: new DamagedObjects({
      now,
      onFound: (user, error) => logger.error("an object is damaged", { user, error }),
      telemetry,
    }),
    telemetry,
  });
  listings.onLoad(anomalies.inspect);
  const waiters = new Waiters({
    // Each holds a connection: half of them are left for other requests.
    max: Math.min(config.MAX_WAITING, Math.floor(maxConnections() / 2)),
    lookEvery:
      driver.listsCheaply === true
        ? Math.max(config.LISTING_TTL, LOOK_EVERY_MS)
        : Number.POSITIVE_INFINITY,
    now,
  });
  listings.onNews((user) => waiters.wake(user));
  telemetry.observe("waiting", () => waiters.count);
  const objects = new ObjectCache({ driver, maxBytes: config.OBJECT_CACHE_BYTES, telemetry });
  const onForks = anomalies.reportForks;
  const entries = new EntryReader({
    read: (name) => objects.cached(name) ?? objects.get(name),
    onForks,
    onDamaged: (user, error) => listings.damaged(user, error),
  });
  const reader = new Reader({ listings, entries, telemetry });
  const erasures = new Erasures({
    driver,
    listings,
    objects,
    time,
    telemetry,
    onErased: (user) => waiters.wake(user),
    onFailure: (user, error) => logger.error("an erased user is not swept yet", { user, error }),
  });
  const compaction =
    config.COMPACTION === "off"
      ? undefined
      : new CompactionScheduler({
          driver,
          listings,
          objects,
          onForks,
          now,
          telemetry,
          settle: (user) => erasures.settleAfresh(user),
          pause,
          onError: (user, error) => logger.error("a compaction failed", { user, error }),
          timing: {
            deleteDelay: Math.max(TIMING.deleteDelay, config.PACKED_RETENTION),
          },
          ...options.compaction,
        });
  if (compaction !== undefined) {
    listings.onLoad((user, listing) => compaction.loaded(user, listing));
    driver.onCrowded?.((partitions) => compaction.crowded(partitions.filter(isFingerprint)));
  }
  const appender = new Appender({
    listings,
    objects,
    entries,
    onAppended: (user) => compaction?.appended(user),
    onFull: (user) => compaction?.full(user),
    telemetry,
  });

  // The service
  const limiter =
    config.RATE_LIMIT > 0
      ? new RateLimiter({ rate: config.RATE_LIMIT, burst: config.RATE_BURST, now, telemetry })
      : undefined;
  const perHour = config.NEW_USERS_PER_HOUR;
  const newUsers =
    perHour > 0 ? new AddressLimiter({ rate: perHour / 3600, burst: perHour, now }) : undefined;
  const strangers = config.RATE_LIMIT > 0 ? new Strangers(now) : undefined;
  const allowList =
    config.USERS === "open"
      ? undefined
      : new AllowListFile({
          path: config.USERS,
          now,
          onFault: (error) => logger.error("the last good list of users holds", { error }),
          // Readers who are no longer on it need not wait to learn it.
          onRead: (users) => {
            for (const user of waiters.users) if (!users.has(user)) waiters.wake(user);
          },
        });
  const service = new SyncService({
    appender,
    reader,
    access: new Access({ driver, listings, erasures, telemetry }),
    erasures,
    quota: new Quota({
      bytes: config.QUOTA_BYTES,
      clients: config.QUOTA_CLIENTS,
      runs: mostRuns(config.LISTING_CACHE_RUNS),
      unsigned: config.SIGNATURES === "optional",
    }),
    signaturesRequired: config.SIGNATURES === "required",
    allowList,
    limiter,
    newUsers,
    strangers,
    listings,
  });
  return { service, strangers, waiters, compaction };
}

/** Throws as `wireService` does. */
export function wire(options: WiringOptions): Wiring {
  const { config, logger } = options;
  const { now = () => performance.now(), time = Date.now } = options;
  const telemetry = new Metrics();
  const running = { count: 0 };
  const driver = new InstrumentedDriver(options.driver);
  const pause = () => untilIdle(running);
  const { service, strangers, waiters, compaction } = wireService({
    ...options,
    driver,
    telemetry,
    pause,
  });

  const limiter = new ConcurrencyLimiter({
    maxRequests: config.MAX_REQUESTS,
    maxBuffered: config.MAX_BUFFERED,
    waitTimeout: config.CLIENT_TIMEOUT,
  });
  const deliveries = new Deliveries({
    service,
    timeout: config.CLIENT_TIMEOUT,
    running,
    telemetry,
    onCut: (user, sent, error) => logger.error("a response was cut", { user, sent, error }),
  });
  const endpoint = new SyncEndpoint({
    service,
    strangers,
    parser: new RequestParser(new PublicKeyCache()),
    signatures: new RequestSignatures({
      publicUrl: config.PUBLIC_URL,
      onOtherAddress: (advice, { authority, path }) =>
        logger.info("a signature is invalid for this address", { authority, path, advice }),
      keys: new SignatureVerifier(),
      time,
      telemetry,
    }),
    addresses: new ClientAddresses(config.TRUSTED_PROXIES),
    limiter,
    bodies: new BodyReader({
      maxBytes: config.MAX_BODY,
      maxClients: mostClients(config.QUOTA_CLIENTS),
      timeout: config.CLIENT_TIMEOUT,
    }),
    deliveries,
    waits: new Waits({
      service,
      waiters,
      limiter,
      deliveries,
      running,
      maxWait: config.MAX_WAIT,
      now,
      onEnd: (end, seconds) => telemetry.waited(end, seconds),
      onFull: () => telemetry.count("waits", "full"),
    }),
  });
  const readiness = new Readiness(driver, now, (error) =>
    logger.error("storage is not ready", { error }),
  );

  observeStorage(driver, telemetry);
  telemetry.observe("requests_running", () => running.count);
  telemetry.observe("buffered_bytes", () => limiter.bytes);
  telemetry.observe("log_lines_lost", logger.lostLines);
  return { endpoint, readiness, metrics: telemetry, compaction, waiters, running };
}

/** Reports what an instrumented driver has counted: `storage/` knows no telemetry. */
function observeStorage(driver: InstrumentedDriver, to: Telemetry): void {
  const { requests, failures, bytes } = driver;
  for (const kind of REQUEST_KINDS) {
    to.observe("storage_requests", () => requests[kind], kind);
    to.observe("storage_failures", () => failures[kind], kind);
  }
  to.observe("storage_bytes", () => bytes.read, "read");
  to.observe("storage_bytes", () => bytes.written, "written");
  to.observe("journal_bytes", () => driver.journalBytes());
}

/** Waits until no request is being answered, but not for long: compaction has to get on as well. */
async function untilIdle(running: { readonly count: number }): Promise<void> {
  const until = performance.now() + YIELD_MS;
  while (running.count > 0 && performance.now() < until) await sleep(1);
}
