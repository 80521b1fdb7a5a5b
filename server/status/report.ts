/** What the status page shows, from what the server keeps anyway. */
import { VERSION } from "../config.ts";
import { bytesText, countText, durationText, timeText } from "../format.ts";
import type { Readiness } from "../http/health.ts";
import { Problem } from "../http/problems.ts";
import { type Metrics, runtimeHere } from "../metrics.ts";
import type { Config } from "../settings.ts";
import { Numbers } from "./numbers.ts";
import type { StatusReport } from "./page.ts";
import type { Findings, StorageCheckup } from "./storage-checkup.ts";
import type { StoredHistory } from "./stored-history.ts";
import { type Arrival, TITLES, warningsOf } from "./warnings.ts";

export interface StatusSources {
  readonly config: Config;
  readonly metrics: Metrics;
  readonly readiness: Readiness;
  readonly history: StoredHistory;
  readonly checkup: StorageCheckup;
  /** Milliseconds of Unix time. */
  readonly time: () => number;
}

type Facts = StatusReport["sections"][number]["facts"];

/** How many types of refusals are named. */
const NAMED = 4;

export async function statusReport(
  { config, metrics, readiness, history, checkup, time }: StatusSources,
  arrival: Arrival,
): Promise<StatusReport> {
  const notReady = await reasonNotReady(readiness);
  const numbers = await Numbers.of(metrics);
  const { samples } = history;
  const findings = checkup.ask();
  const points = (of: "users" | "bytes") => samples.map(({ at, [of]: value }) => ({ at, value }));
  const [runtime, version] = runtimeHere();
  return {
    about: [
      `version ${VERSION}`,
      `${runtime} ${version}`,
      `up ${durationText(process.uptime() * 1000)}`,
      timeText(time()),
    ],
    warnings: warningsOf({
      config,
      numbers,
      arrival,
      notReady,
      checks: findings.latest?.checks ?? [],
    }),
    sections: [
      { title: "Health", facts: healthFacts(numbers, notReady) },
      { title: "Storage", facts: storageFacts(config, numbers, history) },
      { title: "Compaction and journal", facts: compactionFacts(config, numbers) },
      { title: "Storage in use", facts: checkFacts(findings), isWide: true },
    ],
    charts: [
      { title: "Users with something stored", points: points("users"), show: countText },
      { title: "Bytes stored", points: points("bytes"), show: bytesText },
    ],
    counted:
      samples.length === 0
        ? "Nothing was counted yet: that begins ten seconds after the start."
        : `${samples.length} ${samples.length === 1 ? "count" : "counts"} by this server since its start, kept in memory. A restart begins anew.`,
  };
}

/** `undefined` where storage is ready. */
async function reasonNotReady(readiness: Readiness): Promise<string | undefined> {
  try {
    await readiness.check();
    return undefined;
  } catch (error) {
    // Any other is a fault of the program, and answered as one.
    if (!(error instanceof Problem)) throw error;
    return error.message;
  }
}

function healthFacts(numbers: Numbers, notReady: string | undefined): Facts {
  const reached = numbers.find("cluster_reached");
  const refusals = numbers.largest("refusals");
  const named = refusals.slice(0, NAMED).map(([type, count]) => `${countText(count)} ${type}`);
  return [
    ["Ready", notReady === undefined ? "yes" : "no"],
    ...(reached === undefined ? [] : [["Cluster", reached === 1 ? "reached" : "lost"] as const]),
    [
      "Requests now",
      `${countText(numbers.of("requests_running"))} being answered, ${countText(numbers.of("waiting"))} waiting for news`,
    ],
    [
      "Operations",
      `${countText(numbers.of("operations", "stored"))} stored, ${countText(numbers.of("operations", "delivered"))} delivered`,
    ],
    [
      "Refused",
      named.length === 0 ? "none" : `${named.join(", ")}${refusals.length > NAMED ? ", …" : ""}`,
    ],
    ["Memory", bytesText(process.memoryUsage().rss)],
  ];
}

function storageFacts({ STORAGE }: Config, numbers: Numbers, { samples }: StoredHistory): Facts {
  const last = samples.at(-1);
  const free = numbers.find("disk_free_bytes");
  const files = numbers.find("disk_free_files");
  const calls = (["list", "get", "put", "delete"] as const).map(
    (kind) => `${countText(numbers.of("storage_requests", kind))} ${kind}`,
  );
  return [
    ["Place", STORAGE],
    ...(last === undefined
      ? []
      : ([
          ["Users", countText(last.users)],
          ["Objects", countText(last.objects)],
          ["Bytes", bytesText(last.bytes)],
          ["Counted", timeText(last.at)],
        ] as const)),
    ...(free === undefined
      ? []
      : [
          [
            "Disk",
            `${bytesText(free)} free of ${bytesText(numbers.of("disk_size_bytes"))}`,
          ] as const,
        ]),
    ...(files === undefined ? [] : [["Inodes", `${countText(files)} free`] as const]),
    ["Calls", calls.join(", ")],
    ["Failed", countText(numbers.sum("storage_failures"))],
  ];
}

function checkFacts({ latest, isRunning }: Findings): Facts {
  const again = isRunning ? ", and is being looked at again" : "";
  if (latest === undefined) {
    return [
      ["Looked at", isRunning ? "just now: look again" : "not yet: ten seconds after the start"],
    ];
  }
  return [
    ["Looked at", `${timeText(latest.at)}${again}`],
    ...latest.checks.map(({ topic, what }) => [TITLES[topic], what] as const),
  ];
}

function compactionFacts({ COMPACTION, JOURNAL, RETENTION }: Config, numbers: Numbers): Facts {
  const logs = (["waiting", "running", "failing"] as const).map(
    (state) => `${countText(numbers.of("compaction_logs", state))} ${state}`,
  );
  const trimmed = `${countText(numbers.of("retention", "operations"))} operations trimmed`;
  return [
    ["Compaction", COMPACTION],
    ["Logs to pack", logs.join(", ")],
    ["Segments", `${countText(numbers.of("compaction", "stored"))} stored`],
    [
      "Packed objects",
      `${countText(numbers.of("compaction", "deleted"))} deleted, ${countText(numbers.of("superseded_objects"))} to be deleted`,
    ],
    ["Retention", RETENTION === undefined ? "off" : `${durationText(RETENTION)}, ${trimmed}`],
    // Only a folder has journals, and a disk.
    ...(numbers.find("disk_size_bytes") !== undefined
      ? [["Journal", `${JOURNAL}, ${bytesText(numbers.of("journal_bytes"))} in it`] as const]
      : []),
  ];
}
