/** The numbers behind `GET /metrics`, in the text format of Prometheus. None of them names a user. */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { CounterName, ObservedName, Telemetry } from "../oplog/telemetry.ts";
import { SIGNATURE_CHECKS } from "./http/signature.ts";
import { RequestDurations } from "./request-durations.ts";

/** One metric: its name, its label, and the values of the label that are shown from the start. */
interface Metric {
  readonly type: "counter" | "gauge";
  readonly name: string;
  readonly help: string;
  readonly label?: string;
  readonly values?: readonly string[];
}

/** Every metric of the product but the duration of requests, by its name at the `Telemetry` port. */
const METRICS: Readonly<Record<CounterName | ObservedName, Metric>> = {
  log_damage: {
    type: "counter",
    name: "sync_log_damage_total",
    help: "Irregular logs met while listing: forks (an index with two payloads), holes (operations missing), foreign objects, damaged objects.",
    label: "kind",
  },
  refusals: {
    type: "counter",
    name: "sync_refusals_total",
    help: "Requests answered with a problem, by its type.",
    label: "type",
  },
  requests_running: {
    type: "gauge",
    name: "sync_requests_running",
    help: "Requests being answered.",
  },
  waiting: {
    type: "gauge",
    name: "sync_waiting",
    help: "Requests that wait for news, or are about to.",
  },
  waits: {
    type: "counter",
    name: "sync_waits_total",
    help: "Requests that waited for news, by what ended the wait: news, the time they asked for, a client that hung up, the stop of the server, a refusal. Full: those for which there was no place.",
    label: "end",
    values: ["news", "ended", "gone", "stopped", "refused", "full"],
  },
  cluster_reached: {
    type: "gauge",
    name: "sync_cluster_reached",
    help: "1 while CLUSTER is reached; 0 otherwise, and where it is not set.",
  },
  cluster_missing: {
    type: "gauge",
    name: "sync_cluster_missing",
    help: "Other servers that are expected and silent: meanwhile listings go by LISTING_TTL as well.",
  },
  announcements: {
    type: "counter",
    name: "sync_announcements_total",
    help: "Changes announced to the other servers, or missed because CLUSTER was not reached.",
    label: "result",
    values: ["sent", "missed"],
  },
  buffered_bytes: {
    type: "gauge",
    name: "sync_buffered_bytes",
    help: "Bytes of bodies and of operations read ahead, counted against MAX_BUFFERED.",
  },
  stalled: {
    type: "counter",
    name: "sync_stalled_total",
    help: "Answers cut because the reader took nothing.",
  },
  log_lines_lost: {
    type: "counter",
    name: "sync_log_lines_lost_total",
    help: "Lines of the log that could not be written.",
  },
  operations: {
    type: "counter",
    name: "sync_operations_total",
    help: "Operations by what became of them.",
    label: "result",
    values: ["stored", "retried", "delivered", "gap", "conflict"],
  },
  signatures: {
    type: "counter",
    name: "sync_signatures_total",
    help: "Requests by their signature: valid, none, or the check that it failed.",
    label: "result",
    values: ["valid", "none", ...SIGNATURE_CHECKS],
  },
  users: {
    type: "counter",
    name: "sync_users_total",
    help: "Users by what happened to them here.",
    label: "event",
    values: ["locked", "erased"],
  },
  erased_objects: {
    type: "counter",
    name: "sync_erased_objects_total",
    help: "Objects of erased users deleted.",
  },
  storage_requests: {
    type: "counter",
    name: "sync_storage_requests_total",
    help: "Requests to storage.",
    label: "kind",
    values: ["list", "get", "put", "delete"],
  },
  storage_failures: {
    type: "counter",
    name: "sync_storage_failures_total",
    help: "Failed requests to storage.",
    label: "kind",
    values: ["list", "get", "put", "delete"],
  },
  storage_bytes: {
    type: "counter",
    name: "sync_storage_bytes_total",
    help: "Bytes moved from and to storage.",
    label: "direction",
    values: ["read", "written"],
  },
  journal_bytes: {
    type: "gauge",
    name: "sync_journal_bytes",
    help: "Bytes of objects in the journals of a folder.",
  },
  listing_cache: {
    type: "counter",
    name: "sync_listing_cache_total",
    help: "What the listing cache did.",
    label: "event",
    values: ["hit", "load", "drop", "announced"],
  },
  object_cache: {
    type: "counter",
    name: "sync_object_cache_total",
    help: "What the payload cache did.",
    label: "event",
    values: ["hit", "miss", "damaged"],
  },
  compaction: {
    type: "counter",
    name: "sync_compaction_total",
    help: "What compaction did, in objects.",
    label: "event",
    values: ["stored", "deleted", "failed"],
  },
  snapshots: {
    type: "counter",
    name: "sync_snapshots_total",
    help: "Snapshots stored, and answers that began with one.",
    label: "event",
    values: ["stored", "delivered"],
  },
  retention: {
    type: "counter",
    name: "sync_retention_total",
    help: "What RETENTION has freed: objects, their bytes, and operations; and sweeps that failed.",
    label: "kind",
    values: ["objects", "bytes", "operations", "failed"],
  },
  rate_limited: {
    type: "counter",
    name: "sync_rate_limited_total",
    help: "Requests refused by the rate limit of a user.",
  },
  listing_cache_runs: {
    type: "gauge",
    name: "sync_listing_cache_runs",
    help: "Runs in the listing cache.",
  },
  object_cache_bytes: {
    type: "gauge",
    name: "sync_object_cache_bytes",
    help: "Bytes in the payload cache.",
  },
};

/** Upper bounds of the buckets of waits, in seconds. */
const WAIT_BOUNDS = [0.1, 1, 5, 10, 25, 55, 120, 240];

/** The numbers of one metric, by the value of its label; under "" where it has none. */
class Series {
  readonly numbers: Map<string, number>;
  readonly reads = new Map<string, () => number>();

  constructor({ label, values = label === undefined ? [""] : [] }: Metric) {
    this.numbers = new Map(values.map((value) => [value, 0]));
  }

  /** The numbers as they are now. */
  current(): ReadonlyMap<string, number> {
    for (const [value, read] of this.reads) this.numbers.set(value, read());
    return this.numbers;
  }
}

/** All metrics. Counting is plain arithmetic: prom-client sees the numbers when they are collected. */
export class Metrics implements Telemetry {
  readonly #registry = new Registry();
  readonly #series = new Map<string, Series>();
  readonly #durations = new RequestDurations();
  readonly #waits: Histogram;

  constructor() {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#waits = new Histogram({
      name: "sync_wait_seconds",
      help: "How long requests waited for news.",
      buckets: WAIT_BOUNDS,
      registers,
    });
    for (const [key, metric] of Object.entries(METRICS)) {
      const { type, name, help, label } = metric;
      const series = new Series(metric);
      this.#series.set(key, series);
      const labelNames = label === undefined ? [] : [label];
      const labels = (value: string) => (label === undefined ? {} : { [label]: value });
      if (type === "gauge") {
        new Gauge({
          name,
          help,
          labelNames,
          registers,
          collect() {
            for (const [value, number] of series.current()) this.set(labels(value), number);
          },
        });
      } else {
        new Counter({
          name,
          help,
          labelNames,
          registers,
          collect() {
            this.reset();
            for (const [value, number] of series.current()) this.inc(labels(value), number);
          },
        });
      }
    }
  }

  count(counter: CounterName, event = "", amount = 1): void {
    const { numbers } = this.#of(counter);
    numbers.set(event, (numbers.get(event) ?? 0) + amount);
  }

  observe(metric: ObservedName, read: () => number, event = ""): void {
    this.#of(metric).reads.set(event, read);
  }

  /** Counts an answered request. */
  answered(route: string, status: number, seconds: number): void {
    this.#durations.observe(route, status, seconds);
  }

  /** Counts a request that waited for news, by what ended the wait. */
  waited(end: string, seconds: number): void {
    this.count("waits", end);
    this.#waits.observe(seconds);
  }

  /** All metrics, and the media type of the text. */
  async text(): Promise<{ readonly text: string; readonly contentType: string }> {
    const text = `${await this.#registry.metrics()}\n${this.#durations.text()}`;
    return { text, contentType: this.#registry.contentType };
  }

  #of(metric: CounterName | ObservedName): Series {
    const series = this.#series.get(metric);
    if (series === undefined) throw new TypeError(`there is no metric ${metric}`);
    return series;
  }
}
