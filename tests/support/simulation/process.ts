import type { Cluster } from "../../../cluster/cluster.ts";
import type { CompactionScheduler } from "../../../oplog/compaction/scheduler.ts";
import type { Fingerprint } from "../../../oplog/names.ts";
import { NO_TELEMETRY } from "../../../oplog/telemetry.ts";
import { readConfig } from "../../../server/config.ts";
import { createLogger } from "../../../server/logger.ts";
import { wireService } from "../../../server/service-wiring.ts";
import type { RequestContext, SyncResult } from "../../../sync/service.ts";
import { MANUAL_TIMING } from "../compaction-timing.ts";
import type { SimulatedStorage } from "./storage.ts";

/** The process that a request was sent to has died. */
export class Died extends Error {
  override name = "Died";
}

export interface ProcessOptions {
  /** In milliseconds; a millisecond is a step of the simulation. */
  readonly ttl: number;
  readonly cachedRuns: number;
  readonly cachedBytes: number;
  readonly quotaBytes: number;
  readonly quotaClients: number;
  /** How long packed objects stay. */
  readonly retention: number;
  readonly packOperations: number;
  readonly packBytes: number;
  readonly packObjects: number;
}

/** The operations of a request. */
export interface Append {
  readonly first: number;
  readonly payloads: readonly string[];
}

const CONFIG = readConfig({ RATE_LIMIT: "0", NEW_USERS_PER_HOUR: "0" });
const LOGGER = createLogger("silent");
const BUDGET = {
  tryReserve: () => true,
  reserve: async () => undefined,
  free: () => undefined,
};

/** A server without HTTP, as `server/service-wiring.ts` builds it, that can die at any time. */
export class SimulatedProcess {
  alive = true;
  readonly startedAt: number;
  readonly #service: ReturnType<typeof wireService>["service"];
  readonly #compaction: CompactionScheduler | undefined;
  readonly #death: Promise<never>;
  #reportDeath: (error: Died) => void = () => undefined;
  readonly #compacting = new Set<Fingerprint>();

  /** @param clusterOf the cluster of a process; absent where processes go by `LISTING_TTL` */
  constructor(
    storage: SimulatedStorage,
    now: () => number,
    options: ProcessOptions,
    clusterOf?: (process: { readonly alive: boolean }) => Cluster,
  ) {
    this.startedAt = now();
    this.#death = new Promise((_resolve, reject) => {
      this.#reportDeath = reject;
    });
    // At most deaths, no caller waits.
    this.#death.catch(() => undefined);
    const { service, compaction } = wireService({
      config: {
        ...CONFIG,
        LISTING_TTL: options.ttl,
        LISTING_CACHE_RUNS: options.cachedRuns,
        OBJECT_CACHE_BYTES: options.cachedBytes,
        QUOTA_BYTES: options.quotaBytes,
        QUOTA_CLIENTS: options.quotaClients,
      },
      driver: storage.driverOf(this),
      cluster: clusterOf?.(this),
      logger: LOGGER,
      now,
      time: () => 1_700_000_000_000 + now(),
      compaction: {
        limits: {
          operations: options.packOperations,
          bytes: options.packBytes,
          objects: options.packObjects,
        },
        timing: { ...MANUAL_TIMING, deleteDelay: options.retention },
      },
      telemetry: NO_TELEMETRY,
      pause: async () => undefined,
      pauseClaims: async () => undefined,
    });
    this.#service = service;
    this.#compaction = compaction;
  }

  /** Takes its memory, and what it has not answered. */
  die(): void {
    this.alive = false;
    this.#reportDeath(new Died());
    this.stop();
  }

  /** Ends its timers. */
  stop(): void {
    this.#compaction?.stop().catch(() => undefined);
  }

  /** As `SyncService.sync`; the lines of the result are not read yet. */
  sync(
    user: Fingerprint,
    client: string,
    signed: boolean,
    append?: Append,
    versionVector: ReadonlyMap<string, number> = new Map(),
  ): Promise<SyncResult> {
    const request = { user, client, append, versionVector, key: keyOf(user) };
    return this.unlessDead(this.#service.sync(request, contextOf(signed)));
  }

  /** As `SyncService.erase`. */
  async erase(user: Fingerprint): Promise<void> {
    await this.unlessDead(this.#service.erase({ user, key: keyOf(user) }, contextOf(true)));
  }

  /** Compacts a log, unless that is under way: there is one compaction of a user at a time. */
  async compact(user: Fingerprint, idle: boolean): Promise<boolean> {
    if (this.#compaction === undefined || this.#compacting.has(user)) return false;
    this.#compacting.add(user);
    const work = this.#compaction.compact(user, idle).finally(() => this.#compacting.delete(user));
    return this.unlessDead(work);
  }

  /** Waits for something that this process does. Throws `Died`. */
  unlessDead<Result>(work: Promise<Result>): Promise<Result> {
    return Promise.race([this.#death, work]);
  }
}

/** The service looks at fingerprints only. */
function keyOf(user: Fingerprint) {
  return { fingerprint: user, spki: new Uint8Array() };
}

function contextOf(signed: boolean): RequestContext {
  return { address: "192.0.2.1", bytes: 100, signed, budget: BUDGET };
}
