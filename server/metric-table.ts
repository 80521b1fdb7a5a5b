/** What is counted, and what is read when metrics are collected. */
import type { CounterName, ObservedName } from "../oplog/telemetry.ts";
import { PROBLEMS } from "../protocol/problems.ts";
import { SIGNATURE_CHECKS } from "./http/signature-invalid.ts";

/** One metric: its name, its label, and the values of the label that are shown from the start. */
export interface Metric {
  readonly type: "counter" | "gauge";
  readonly name: string;
  readonly help: string;
  readonly label?: string;
  readonly values?: readonly string[];
  /** Absent until something is observed: a 0 would say what is not true. */
  readonly optional?: boolean;
}

/** Every counter and gauge of the product, by its name at the `Telemetry` port. */
export const METRICS: Readonly<Record<CounterName | ObservedName, Metric>> = {
  log_damage: {
    type: "counter",
    name: "sync_log_damage_total",
    help: "Irregular logs met while listing: forks (an index with two payloads), holes (operations missing), foreign objects, damaged objects.",
    label: "kind",
    values: ["fork", "hole", "foreign", "damaged"],
  },
  refusals: {
    type: "counter",
    name: "sync_refusals_total",
    help: "Requests answered with a problem, by its type.",
    label: "type",
    values: Object.keys(PROBLEMS),
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
    help: "1 while CLUSTER is reached, 0 otherwise.",
    optional: true,
  },
  cluster_missing: {
    type: "gauge",
    name: "sync_cluster_missing",
    help: "Other servers that are expected and silent: meanwhile listings go by LISTING_TTL as well.",
    optional: true,
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
    values: ["locked", "erased", "invited", "guest"],
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
  disk_free_bytes: {
    type: "gauge",
    name: "sync_disk_free_bytes",
    help: "Bytes that the server may still write to the file system of its folder.",
    optional: true,
  },
  disk_size_bytes: {
    type: "gauge",
    name: "sync_disk_size_bytes",
    help: "Size of the file system of the folder.",
    optional: true,
  },
  disk_free_files: {
    type: "gauge",
    name: "sync_disk_free_files",
    help: "Files that the file system of the folder still has inodes for.",
    optional: true,
  },
  stored_users: {
    type: "gauge",
    name: "sync_stored_users",
    help: "Users with something stored, at sync_stored_counted_timestamp_seconds.",
    optional: true,
  },
  stored_objects: {
    type: "gauge",
    name: "sync_stored_objects",
    help: "Objects in storage, at sync_stored_counted_timestamp_seconds.",
    optional: true,
  },
  stored_bytes: {
    type: "gauge",
    name: "sync_stored_bytes",
    help: "Bytes of the objects in storage, at sync_stored_counted_timestamp_seconds.",
    optional: true,
  },
  stored_counted: {
    type: "gauge",
    name: "sync_stored_counted_timestamp_seconds",
    help: "When compaction, in its look at all of the storage after the start, had counted what is stored.",
    optional: true,
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
  compaction_logs: {
    type: "gauge",
    name: "sync_compaction_logs",
    help: "Logs with something to pack: those that wait for it, those being packed, those left alone for a while because it failed.",
    label: "state",
  },
  superseded_objects: {
    type: "gauge",
    name: "sync_superseded_objects",
    help: "Packed objects that stay for PACKED_RETENTION, and are deleted then.",
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
