import type { Fingerprint } from "../names.ts";
import type { SupersededObjects } from "../superseded-objects.ts";
import type { Telemetry } from "../telemetry.ts";
import type { Job } from "./job.ts";
import type { RestingLogs } from "./resting-logs.ts";

/** Reports the work that compaction has before it, in logs to pack and objects to delete. */
export function reportDebt(
  telemetry: Telemetry,
  jobs: ReadonlyMap<Fingerprint, Job>,
  resting: RestingLogs,
  superseded: SupersededObjects,
): void {
  for (const state of ["waiting", "running"] as const) {
    const count = () => {
      let logs = 0;
      for (const job of jobs.values()) if (job.state === state) logs++;
      return logs;
    };
    telemetry.observe("compaction_logs", count, state);
  }
  telemetry.observe("compaction_logs", () => resting.failing, "failing");
  telemetry.observe("superseded_objects", () => superseded.count);
}
