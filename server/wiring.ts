/** Builds the objects of the server from the settings, bottom-up. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Announcer } from "../oplog/announcer.ts";
import type { CompactionScheduler } from "../oplog/compaction/scheduler.ts";
import type { RetentionScheduler } from "../oplog/retention/scheduler.ts";
import type { Room } from "../storage/driver.ts";
import { InstrumentedDriver } from "../storage/instrumented.ts";
import { PublicKeyCache } from "../sync/public-key.ts";
import { mostClients } from "../sync/quota.ts";
import { RequestParser } from "../sync/request.ts";
import { SignatureVerifier } from "../sync/signature-verifier.ts";
import type { Waiters } from "../sync/waiters.ts";
import { BodyReader } from "./http/body-reader.ts";
import { ClientAddresses } from "./http/client-address.ts";
import { ConcurrencyLimiter } from "./http/concurrency-limiter.ts";
import { Deliveries } from "./http/deliveries.ts";
import { Diagnosis } from "./http/diagnosis.ts";
import { Readiness } from "./http/health.ts";
import { RequestSignatures } from "./http/signature.ts";
import { StatusEndpoint } from "./http/status.ts";
import { SyncEndpoint } from "./http/sync.ts";
import { Waits } from "./http/waits.ts";
import type { Logger } from "./logger.ts";
import { Metrics } from "./metrics.ts";
import { type WiringOptions, wireService } from "./service-wiring.ts";
import { statusPage } from "./status/page.ts";
import { statusReport } from "./status/report.ts";
import { StorageCheckup } from "./status/storage-checkup.ts";
import { StoredHistory } from "./status/stored-history.ts";

/** The parts that answer requests, and those that work in the background. */
export interface Wiring {
  readonly endpoint: SyncEndpoint;
  readonly diagnosis: Diagnosis;
  readonly readiness: Readiness;
  readonly metrics: Metrics;
  /** Absent where compaction is turned off. */
  readonly compaction: CompactionScheduler | undefined;
  /** Absent where retention is turned off. */
  readonly retention: RetentionScheduler | undefined;
  /** The operator's page, and what it has counted; absent where it is turned off. */
  readonly status:
    | {
        readonly endpoint: StatusEndpoint;
        /** Resolves once nothing is under way for it. */
        readonly stop: () => Promise<void>;
      }
    | undefined;
  readonly waiters: Waiters;
  /** Absent for a lone server. */
  readonly announcer: Announcer | undefined;
  /**
   * How many requests are being answered: from their arrival to the last byte of the answer. Not while
   * they wait for news.
   */
  readonly running: { count: number };
}

/** How long compaction waits for a moment without requests each time it lets them go first. */
const YIELD_MS = 50;

/** From the start to a look at storage, which must not delay that. */
const CHECKUP_AFTER_MS = 10_000;

const REQUEST_KINDS = ["list", "get", "put", "delete"] as const;

/** Throws as `wireService` does. */
export function wire(options: WiringOptions): Wiring {
  const { config, cluster, logger } = options;
  const { now = () => performance.now(), time = Date.now } = options;
  const telemetry = new Metrics();
  const running = { count: 0 };
  const driver = new InstrumentedDriver(options.driver, (kind, milliseconds) =>
    telemetry.called(kind, milliseconds / 1000),
  );
  const pause = () => untilIdle(running);
  const { service, strangers, announcer, waiters, compaction, retention } = wireService({
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
  });
  const addresses = new ClientAddresses(config.TRUSTED_PROXIES);
  const bodies = new BodyReader({
    maxBytes: config.MAX_BODY,
    maxClients: mostClients(config.QUOTA_CLIENTS),
    timeout: config.CLIENT_TIMEOUT,
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
    addresses,
    limiter,
    bodies,
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
  const diagnosis = new Diagnosis({
    ...{ addresses, limiter, bodies, time },
    publicUrl: config.PUBLIC_URL,
    maxBody: config.MAX_BODY,
    maxWait: config.MAX_WAIT,
  });
  const readiness = new Readiness(driver, now, (error) =>
    logger.error("storage is not ready", { error }),
  );

  const token = config.STATUS_TOKEN;
  const status =
    token === undefined
      ? undefined
      : wireStatus(token, {
          ...{ options, driver, metrics: telemetry, readiness, addresses, pause, now, time },
        });

  observeStorage(driver, telemetry, logger);
  if (cluster !== undefined) {
    telemetry.observe("cluster_reached", () => (cluster.isJoined ? 1 : 0));
    telemetry.observe("cluster_missing", () => cluster.missing);
  }
  telemetry.observe("requests_running", () => running.count);
  telemetry.observe("buffered_bytes", () => limiter.bytes);
  telemetry.observe("log_lines_lost", logger.lostLines);
  return {
    endpoint,
    diagnosis,
    readiness,
    metrics: telemetry,
    compaction,
    retention,
    status,
    waiters,
    announcer,
    running,
  };
}

interface StatusWiring {
  readonly options: WiringOptions;
  readonly driver: InstrumentedDriver;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly addresses: ClientAddresses;
  readonly pause: () => Promise<void>;
  readonly now: () => number;
  readonly time: () => number;
}

function wireStatus(
  token: string,
  { options, driver, metrics, readiness, addresses, pause, now, time }: StatusWiring,
): NonNullable<Wiring["status"]> {
  const { config, logger, status: timing } = options;
  const history = new StoredHistory({
    ...{ driver, timing, pause, time },
    onError: (error) => logger.error("what is stored could not be counted", { error }),
  });
  const checkup = new StorageCheckup({
    // Not the instrumented one: that what was deleted is not there is no failure of the storage.
    driver: options.driver,
    ...{ time, first: timing?.first ?? CHECKUP_AFTER_MS },
    onError: (error) => logger.error("storage could not be looked at", { error }),
  });
  const sources = { config, metrics, readiness, history, checkup, time };
  const endpoint = new StatusEndpoint({
    ...{ token, addresses, now },
    page: async (arrival) => statusPage(await statusReport(sources, arrival)),
  });
  const stop = async () => void (await Promise.all([history.stop(), checkup.stop()]));
  return { endpoint, stop };
}

/** Reports what an instrumented driver has counted: `storage/` knows no telemetry. */
function observeStorage(driver: InstrumentedDriver, to: Metrics, logger: Logger): void {
  const { requests, failures, bytes } = driver;
  for (const kind of REQUEST_KINDS) {
    to.observe("storage_requests", () => requests[kind], kind);
    to.observe("storage_failures", () => failures[kind], kind);
  }
  to.observe("storage_bytes", () => bytes.read, "read");
  to.observe("storage_bytes", () => bytes.written, "written");
  to.observe("journal_bytes", () => driver.journalBytes());
  driver.onJournalBatch((records) => to.batched(records));
  const { room } = driver;
  if (room === undefined) return;
  const read = async (of: keyof Room) => {
    try {
      return (await room())[of] ?? Number.NaN;
    } catch (error) {
      // The other metrics are wanted all the more.
      const reason = error instanceof Error ? error.message : String(error);
      logger.error("the room of the file system cannot be read: check the folder", { reason });
      return Number.NaN;
    }
  };
  to.observe("disk_free_bytes", () => read("free"));
  to.observe("disk_size_bytes", () => read("size"));
  to.observe("disk_free_files", () => read("freeFiles"));
}

/** Waits until no request is being answered, but not for long: compaction has to get on as well. */
async function untilIdle(running: { readonly count: number }): Promise<void> {
  const until = performance.now() + YIELD_MS;
  while (running.count > 0 && performance.now() < until) await sleep(1);
}
