/** What is counted: each event is reported as it happens. */
export type CounterName =
  | "operations"
  | "log_damage"
  | "listing_cache"
  | "object_cache"
  | "compaction"
  | "snapshots"
  | "retention"
  | "users"
  | "erased_objects"
  | "rate_limited"
  | "signatures"
  | "refusals"
  | "stalled"
  | "waits"
  | "announcements";

/** What is kept elsewhere as a number, and read when the metrics are collected. */
export type ObservedName =
  | "listing_cache_runs"
  | "object_cache_bytes"
  | "storage_requests"
  | "storage_failures"
  | "storage_bytes"
  | "journal_bytes"
  | "requests_running"
  | "waiting"
  | "cluster_reached"
  | "cluster_missing"
  | "buffered_bytes"
  | "log_lines_lost"
  | "compaction_logs"
  | "superseded_objects"
  | "disk_free_bytes"
  | "disk_size_bytes"
  | "disk_free_files"
  | "stored_users"
  | "stored_objects"
  | "stored_bytes"
  | "stored_counted";

/**
 * The port by which the product reports what it does; `server/metrics.ts` implements it, and has to
 * define a metric for each name.
 */
export interface Telemetry {
  /**
   * Adds `amount`, or 1, to a counter.
   *
   * @param event the value of the counter's label; absent for a counter that has none
   */
  count(counter: CounterName, event?: string, amount?: number): void;
  /** Registers a number that is kept elsewhere; `NaN` where it is not known. */
  observe(metric: ObservedName, read: () => number | Promise<number>, event?: string): void;
}

/** Reports nothing: for code that runs without metrics. */
export const NO_TELEMETRY: Telemetry = { count: () => undefined, observe: () => undefined };
