import type { Cluster } from "../cluster/cluster.ts";
import { Announcer } from "../oplog/announcer.ts";
import { AnomalyMonitor } from "../oplog/anomalies.ts";
import { Appender } from "../oplog/appender.ts";
import {
  CompactionScheduler,
  type CompactionSchedulerOptions,
} from "../oplog/compaction/scheduler.ts";
import { TIMING } from "../oplog/compaction/timing.ts";
import { DamagedObjects } from "../oplog/damaged-objects.ts";
import { type DamageListener, EntryReader } from "../oplog/entries.ts";
import { ListingCache } from "../oplog/listing-cache.ts";
import { ListingListeners } from "../oplog/listing-listeners.ts";
import { isFingerprint } from "../oplog/names.ts";
import { ObjectCache } from "../oplog/object-cache.ts";
import { Reader } from "../oplog/reader.ts";
import {
  RETENTION_STEP_MS,
  RetentionScheduler,
  type RetentionSchedulerOptions,
} from "../oplog/retention/scheduler.ts";
import { Snapshots } from "../oplog/snapshots.ts";
import type { Telemetry } from "../oplog/telemetry.ts";
import type { Driver } from "../storage/driver.ts";
import { Access } from "../sync/access.ts";
import { AddressLimiter } from "../sync/address-limiter.ts";
import { Erasures } from "../sync/erasure.ts";
import { NewUsers } from "../sync/new-users.ts";
import { mostRuns, Quota } from "../sync/quota.ts";
import { QuotaClaims } from "../sync/quota-claims.ts";
import { RateLimiter } from "../sync/rate-limiter.ts";
import { SyncService } from "../sync/service.ts";
import { SharedRateLimiter } from "../sync/shared-rate-limiter.ts";
import { Strangers } from "../sync/strangers.ts";
import { Waiters } from "../sync/waiters.ts";
import { AllowListFile } from "./allow-list-file.ts";
import { maxConnections } from "./http/connections.ts";
import type { Logger } from "./logger.ts";
import type { Config } from "./settings.ts";
import type { StoredHistoryTiming } from "./status/stored-history.ts";

export interface WiringOptions {
  readonly config: Config;
  readonly driver: Driver;
  /** The servers on the same storage; absent for a lone one. */
  readonly cluster?: Cluster | undefined;
  readonly logger: Logger;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
  /** Milliseconds of Unix time. */
  readonly time?: () => number;
  /** What is packed and when; the defaults of compaction otherwise. */
  readonly compaction?: Pick<CompactionSchedulerOptions, "limits" | "timing" | "pause">;
  /** When retention looks and deletes; the defaults otherwise. */
  readonly retention?: Partial<Pick<RetentionSchedulerOptions, "step" | "deleteDelay" | "pause">>;
  /** When the status page has storage counted; the defaults otherwise. */
  readonly status?: Partial<StoredHistoryTiming>;
}

/** How often a waiting reader looks again at least, with the shortest `LISTING_TTL`. */
const LOOK_EVERY_MS = 1000;

/** The log and the service, without HTTP. */
export interface ServiceWiring {
  readonly service: SyncService;
  /** Absent where the rate limit is turned off. */
  readonly strangers: Strangers | undefined;
  /** Absent for a lone server. */
  readonly announcer: Announcer | undefined;
  /** Woken by what this process stores; `wake` is for what it learns of otherwise. */
  readonly waiters: Waiters;
  /** Absent where compaction is turned off. */
  readonly compaction: CompactionScheduler | undefined;
  /** Absent where retention is turned off. */
  readonly retention: RetentionScheduler | undefined;
}

export interface ServiceWiringOptions extends WiringOptions {
  readonly telemetry: Telemetry;
  /** Waited for before an append asks again for room that other servers have claimed; a moment by default. */
  readonly pauseClaims?: () => Promise<void>;
  /** Waited for by compaction, so that requests go first. */
  readonly pause: () => Promise<void>;
}

/** Throws `InvalidAllowList` where the file that `USERS` names is wrong. */
export function wireService(options: ServiceWiringOptions): ServiceWiring {
  const { config, driver, cluster, logger, telemetry, pause } = options;
  const { now = () => performance.now(), time = Date.now } = options;

  // The log
  const anomalies = new AnomalyMonitor({
    onFound: (user, found) => logger.error("a log is irregular", { user, ...found }),
    telemetry,
  });
  const listeners = new ListingListeners();
  const listings = new ListingCache({
    listeners,
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
    version: cluster && ((user) => cluster.version(user)),
    telemetry,
  });
  const announcer =
    cluster && new Announcer({ cluster, listings, ttl: config.LISTING_TTL, telemetry });
  listeners.onLoad(anomalies.inspect);
  const waiters = new Waiters({
    // Each holds a connection: half of them are left for other requests.
    max: Math.min(config.MAX_WAITING, Math.floor(maxConnections() / 2)),
    lookEvery:
      driver.listsCheaply === true
        ? Math.max(config.LISTING_TTL, LOOK_EVERY_MS)
        : Number.POSITIVE_INFINITY,
    now,
  });
  listeners.onNews((user) => waiters.wake(user));
  telemetry.observe("waiting", () => waiters.count);
  const objects = new ObjectCache({ driver, maxBytes: config.OBJECT_CACHE_BYTES, telemetry });
  const onForks = anomalies.reportForks;
  const onDamaged: DamageListener = (user, error) => listings.damaged(user, error);
  const entries = new EntryReader({
    read: (name) => objects.cached(name) ?? objects.get(name),
    onForks,
    onDamaged,
  });
  const snapshots = new Snapshots({ objects, time, onDamaged });
  const reader = new Reader({ listings, entries, snapshots, telemetry });
  const erasures = new Erasures({
    driver,
    listings,
    objects,
    announcer,
    time,
    telemetry,
    onErased: (user) => waiters.wake(user),
    onFailure: (user, error) => logger.error("an erased user is not swept yet", { user, error }),
  });
  const retention =
    config.RETENTION === undefined
      ? undefined
      : new RetentionScheduler({
          listings,
          objects,
          snapshots,
          announcer,
          age: config.RETENTION,
          deleteDelay: Math.max(TIMING.deleteDelay, config.PACKED_RETENTION),
          step: RETENTION_STEP_MS,
          settle: (user) => erasures.settleAfresh(user),
          onFreed: (user, freed) => logger.info("a log was trimmed", { user, ...freed }),
          pause,
          time,
          telemetry,
          onError: (user, error) => logger.error("a log could not be trimmed", { user, error }),
          ...options.retention,
        });
  if (retention !== undefined) {
    listeners.onLoad((user, listing) => retention.loaded(user, listing));
  }
  const compaction =
    config.COMPACTION === "off"
      ? undefined
      : new CompactionScheduler({
          driver,
          listings,
          objects,
          announcer,
          onForks,
          now,
          telemetry,
          settle: (user) => erasures.settleAfresh(user),
          pause,
          onScanned: (user, listing) => retention?.loaded(user, listing),
          onError: (user, error) => logger.error("a compaction failed", { user, error }),
          timing: {
            deleteDelay: Math.max(TIMING.deleteDelay, config.PACKED_RETENTION),
          },
          ...options.compaction,
        });
  if (compaction !== undefined) {
    listeners.onLoad((user, listing) => compaction.loaded(user, listing));
    driver.onCrowded?.((partitions) => compaction.crowded(partitions.filter(isFingerprint)));
  }
  const appender = new Appender({
    listings,
    announcer,
    objects,
    entries,
    snapshots,
    onAppended: (user) => compaction?.appended(user),
    onSnapshot: (user) => {
      const listing = listings.current(user);
      if (listing !== undefined) retention?.loaded(user, listing);
    },
    onFull: (user) => compaction?.full(user),
    telemetry,
  });

  // The service
  const { RATE_LIMIT, RATE_BURST } = config;
  const own =
    RATE_LIMIT > 0
      ? new RateLimiter({ rate: RATE_LIMIT, burst: RATE_BURST, now, telemetry })
      : undefined;
  const perHour = config.NEW_USERS_PER_HOUR;
  const newUsers =
    perHour > 0
      ? new NewUsers(new AddressLimiter({ rate: perHour / 3600, burst: perHour, now }), cluster)
      : undefined;
  const strangers = config.RATE_LIMIT > 0 ? new Strangers(now) : undefined;
  const allowList =
    config.USERS === "open"
      ? undefined
      : new AllowListFile({
          path: config.USERS,
          now,
          time,
          onFault: (error) => logger.error("the last good list of users holds", { error }),
          onInviteFault: (reason) =>
            logger.error("invites cannot be used: let the server write to their folder", {
              reason,
            }),
          onEntered: (user) => {
            telemetry.count("users", "invited");
            logger.info("a user has entered the list by an invite", { user });
          },
          guests: {
            has: async (guest) => !(await listings.fresh(guest)).isEmpty,
            clear: (guest) => erasures.clear(guest),
            onLetIn: (guest, host) => {
              telemetry.count("users", "guest");
              logger.info("a guest was admitted", { user: host, guest });
            },
            onFailure: (guest, error) =>
              logger.error("what a guest has stored is not deleted yet", { user: guest, error }),
          },
          // Readers who are no longer on it need not wait to learn it.
          onRead: (users) => {
            for (const user of waiters.users) if (!users.has(user)) waiters.wake(user);
          },
        });
  const quota = new Quota({
    bytes: config.QUOTA_BYTES,
    clients: config.QUOTA_CLIENTS,
    runs: mostRuns(config.LISTING_CACHE_RUNS),
    limitsOf: allowList && ((user) => allowList.limitsOf(user)),
    unsigned: config.SIGNATURES === "optional",
  });
  const service = new SyncService({
    appender,
    reader,
    access: new Access({ driver, listings, erasures, announcer, telemetry }),
    erasures,
    quota,
    claims: cluster && new QuotaClaims(cluster, quota, listings, options.pauseClaims),
    signaturesRequired: config.SIGNATURES === "required",
    allowList,
    limiter: cluster && own ? new SharedRateLimiter(cluster, own) : own,
    newUsers,
    strangers,
    listings,
    announcer,
  });
  return { service, strangers, announcer, waiters, compaction, retention };
}
