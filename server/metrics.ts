/** The numbers behind `GET /metrics`, in Prometheus text format. None of them names a user. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { Anomalies } from "../oplog/anomalies.ts";
import type { Log } from "../oplog/appender.ts";
import type { CompactionScheduler } from "../oplog/compaction/scheduler.ts";
import type { ListingCache } from "../oplog/listing-cache.ts";
import type { ObjectCache } from "../oplog/object-cache.ts";
import type { InstrumentedDriver } from "../storage/instrumented.ts";
import type { Access } from "../sync/access.ts";
import type { Erasures } from "../sync/erasure.ts";
import type { RateLimiter } from "../sync/rate-limiter.ts";
import type { ConcurrencyLimiter } from "./http/admission.ts";
import type { Reply } from "./http/response.ts";
import type { RequestSignatures } from "./http/signature.ts";

export interface MetricSources {
  readonly driver: InstrumentedDriver;
  readonly listings: ListingCache;
  readonly objects: ObjectCache;
  readonly log: Log;
  readonly access: Access;
  readonly erasures: Erasures;
  readonly signatures: RequestSignatures;
  readonly limiter: RateLimiter | undefined;
  /** Absent where compaction is turned off. */
  readonly compactor: CompactionScheduler | undefined;
  /** Requests that are being answered right now. */
  readonly running: () => number;
  readonly admission: ConcurrencyLimiter;
  /** Lines that the log has lost. */
  readonly lostLines: () => number;
  /** Responses that were cut because the reader took nothing. */
  readonly stalled: () => number;
}

/** The numbers behind `GET /metrics`: most are kept where things happen, and read here. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #requests: Histogram<"route" | "status">;
  readonly #damage: Counter<"kind">;
  readonly #refusals: Counter<"type">;

  constructor(sources: MetricSources) {
    const { driver, listings, objects, log, limiter, compactor, running, admission } = sources;
    const { access, erasures, signatures } = sources;
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#requests = new Histogram({
      name: "sync_request_seconds",
      help: "Time from a request's arrival to the head of its response.",
      labelNames: ["route", "status"],
      buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
      registers,
    });
    this.#damage = new Counter({
      name: "sync_log_damage_total",
      help: "Irregular logs met while listing: forks (an index with two payloads), holes (operations missing), foreign objects.",
      labelNames: ["kind"],
      registers,
    });
    this.#refusals = new Counter({
      name: "sync_refusals_total",
      help: "Requests answered with a problem, by its type.",
      labelNames: ["type"],
      registers,
    });
    this.#gauge("sync_requests_running", "Requests being answered.", running);
    this.#gauge(
      "sync_buffered_bytes",
      "Bytes of bodies and of operations read ahead, counted against MAX_BUFFERED.",
      () => admission.bytes,
    );
    this.#counters(
      "sync_stalled_total",
      "Answers cut because the reader took nothing.",
      undefined,
      { "": sources.stalled },
    );
    this.#counters(
      "sync_log_lines_lost_total",
      "Lines of the log that could not be written.",
      undefined,
      { "": sources.lostLines },
    );
    this.#counters("sync_operations_total", "Operations by what became of them.", "result", {
      stored: () => log.counts.stored,
      retried: () => log.counts.retried,
      delivered: () => log.delivered,
      gap: () => log.counts.gaps,
      conflict: () => log.counts.conflicts,
    });
    const checked: Readonly<Record<string, number>> = signatures.counts;
    this.#counters(
      "sync_signatures_total",
      "Requests by their signature: valid, none, or the check that it failed.",
      "result",
      Object.fromEntries(
        Object.keys(checked).map((result) => [result, () => checked[result] ?? 0]),
      ),
    );
    this.#counters("sync_users_total", "Users by what happened to them here.", "event", {
      locked: () => access.counts.locked,
      erased: () => erasures.counts.users,
    });
    this.#counters("sync_erased_objects_total", "Objects of erased users deleted.", undefined, {
      "": () => erasures.counts.objects,
    });
    this.#counters("sync_storage_requests_total", "Requests to storage.", "kind", {
      list: () => driver.requests.list,
      get: () => driver.requests.get,
      put: () => driver.requests.put,
      delete: () => driver.requests.delete,
    });
    this.#counters("sync_storage_failures_total", "Failed requests to storage.", "kind", {
      list: () => driver.failures.list,
      get: () => driver.failures.get,
      put: () => driver.failures.put,
      delete: () => driver.failures.delete,
    });
    this.#counters("sync_storage_bytes_total", "Bytes moved from and to storage.", "direction", {
      read: () => driver.bytes.read,
      written: () => driver.bytes.written,
    });
    this.#counters("sync_listing_cache_total", "What the listing cache did.", "event", {
      hit: () => listings.counts.hits,
      load: () => listings.counts.loads,
      drop: () => listings.counts.drops,
    });
    this.#counters("sync_object_cache_total", "What the payload cache did.", "event", {
      hit: () => objects.counts.hits,
      miss: () => objects.counts.misses,
      damaged: () => objects.counts.damaged,
    });
    this.#counters("sync_compaction_total", "What compaction did, in objects.", "event", {
      stored: () => compactor?.counts.segments ?? 0,
      deleted: () => compactor?.counts.deleted ?? 0,
      failed: () => compactor?.counts.failed ?? 0,
    });
    this.#counters(
      "sync_rate_limited_total",
      "Requests refused by the rate limit of a user.",
      undefined,
      {
        "": () => limiter?.counts.refused ?? 0,
      },
    );
    this.#gauge("sync_listing_cache_runs", "Runs in the listing cache.", () => listings.cachedRuns);
    this.#gauge(
      "sync_object_cache_bytes",
      "Bytes in the payload cache.",
      () => objects.cachedBytes,
    );
  }

  /** Takes note of an answered request. */
  answered(route: string, status: number, seconds: number): void {
    this.#requests.observe({ route, status }, seconds);
  }

  /** Takes note of a request that was answered with a problem. */
  refused(type: string): void {
    this.#refusals.inc({ type });
  }

  /** Takes note of a log that is irregular. */
  damaged({ forks, holes, unrecognized }: Anomalies): void {
    this.#damage.inc({ kind: "fork" }, forks);
    this.#damage.inc({ kind: "hole" }, holes);
    this.#damage.inc({ kind: "foreign" }, unrecognized);
  }

  /** All metrics, in the text format of Prometheus. */
  async reply(): Promise<Reply> {
    return {
      status: 200,
      headers: { "Content-Type": this.#registry.contentType, "Cache-Control": "no-store" },
      body: await this.#registry.metrics(),
    };
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(read());
      },
    });
  }

  /** A counter whose values are kept where things happen, and read when they are asked for. */
  #counters(
    name: string,
    help: string,
    label: string | undefined,
    read: Readonly<Record<string, () => number>>,
  ): void {
    new Counter({
      name,
      help,
      labelNames: label === undefined ? [] : [label],
      registers: [this.#registry],
      collect() {
        this.reset();
        for (const [key, value] of Object.entries(read)) {
          this.inc(label === undefined ? {} : { [label]: key }, value());
        }
      },
    });
  }
}
