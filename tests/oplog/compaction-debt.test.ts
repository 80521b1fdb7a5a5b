/** What the metrics say of the work that compaction has before it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { reportDebt } from "../../oplog/compaction/debt.ts";
import type { Job } from "../../oplog/compaction/job.ts";
import { RestingLogs } from "../../oplog/compaction/resting-logs.ts";
import { SupersededObjects } from "../../oplog/superseded-objects.ts";
import { RecordingTelemetry } from "../support/telemetry.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const jobIn = (state: Job["state"]): Job => ({
  ...{ state, since: 0, lastAppend: 0, failures: 0 },
  ...{ idle: false, crowded: false, grown: false },
});

describe("the work before compaction", () => {
  it("has the logs that wait, those being packed, and those whose packing failed a short while ago", () => {
    let time = 0;
    const telemetry = new RecordingTelemetry();
    const jobs = new Map([
      [someFingerprint(), jobIn("waiting")],
      [someFingerprint(), jobIn("waiting")],
      [someFingerprint(), jobIn("running")],
    ]);
    const resting = new RestingLogs({ backoff: 1000, now: () => time });
    reportDebt(telemetry, jobs, resting, new SupersededObjects());
    resting.add(someFingerprint(), 1);
    resting.add(someFingerprint(), 0);
    const logs = (state: string) => telemetry.value("compaction_logs", state);
    assert.deepEqual(["waiting", "running", "failing"].map(logs), [2, 1, 1]);
    time = 1001;
    assert.equal(logs("failing"), 0);
  });

  it("has the objects that are packed and not deleted yet", () => {
    const telemetry = new RecordingTelemetry();
    const superseded = new SupersededObjects();
    reportDebt(telemetry, new Map(), new RestingLogs({ backoff: 0, now: () => 0 }), superseded);
    const client = newClient();
    const runOf = (first: number, last: number) => ({ first, last, md5: "0".repeat(32), size: 1 });
    const by = [runOf(0, 1)];
    superseded.add(someFingerprint(), [{ client, runs: [runOf(0, 0), runOf(1, 1)], by }], 0);
    superseded.add(someFingerprint(), [{ client, runs: [runOf(0, 0)], by }], 0);
    assert.equal(telemetry.value("superseded_objects"), 3);
  });
});
