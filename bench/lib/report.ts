/** The results as Markdown. */
import type { Machine } from "./machine.ts";
import type { Figures, Result, StorageRequests, Target } from "./result.ts";
import type { RuntimeName } from "./runtimes.ts";
import { formatNumber, table } from "./table.ts";

/** The results of one runtime. */
export interface RuntimeResults {
  readonly runtime: RuntimeName;
  readonly version: string;
  readonly results: readonly Result[];
}

export interface Report {
  /** ISO 8601. */
  readonly date: string;
  /** As typed. */
  readonly command: string;
  readonly machine: Machine;
  readonly runtimes: readonly RuntimeResults[];
}

/** The names of the runtimes in headings, in the order of the tables. */
export const RUNTIME_TITLES: Readonly<Record<RuntimeName, string>> = {
  node: "Node",
  bun: "Bun",
  deno: "Deno",
};

const HEAD = [
  "Scenario",
  "Work",
  "CPU µs a request",
  "Requests/s or MB/s",
  "p50 ms",
  "p99 ms",
  "First byte ms",
  "Peak MB",
  "Storage requests",
  "Target: measured",
];

/** The whole report: the machine, and a table for each runtime. */
export function markdown(report: Report): string {
  const explanation = "In brackets: the figure divided by that of the baseline, in the same run.";
  return [
    `${provenance(report)} ${explanation}`,
    ...report.runtimes.map(({ runtime, results }) => {
      const listed = results.filter(({ isUnlisted }) => isUnlisted !== true);
      return `**${RUNTIME_TITLES[runtime]}**\n\n${table(HEAD, listed.map(cells), 2)}`;
    }),
  ].join("\n\n");
}

/** Where the figures come from: command, date, machine and versions. */
export function provenance(
  report: Omit<Report, "runtimes"> & {
    readonly runtimes: readonly Pick<RuntimeResults, "runtime" | "version">[];
  },
): string {
  const { date, command, machine, runtimes } = report;
  const { processor, cores, memoryGB, kernel, fileSystem } = machine;
  const versions = runtimes.map(({ runtime, version }) => `${RUNTIME_TITLES[runtime]} ${version}`);
  return (
    `\`${command}\`, ${date.slice(0, 10)}: ${cores} cores of ${processor}, ${memoryGB} GB, ` +
    `${kernel}, ${fileSystem}; ${versions.join(", ")}.`
  );
}

function cells(result: Result): string[] {
  const { scenario, work, figures, ratios, storage, targets, skipped } = result;
  const cell = (name: keyof Figures, unit = "") => {
    const [figure, ratio] = [figures[name], ratios[name]];
    if (figure === undefined) return "";
    const value = `${formatNumber(figure)}${unit}`;
    return ratio === undefined ? value : `${value} (${formatNumber(ratio)})`;
  };
  return [
    `\`${scenario}\``,
    work,
    cell("cpu"),
    figures.throughput === undefined ? cell("rate", "/s") : cell("throughput", " MB/s"),
    cell("p50"),
    cell("p99"),
    cell("firstByte"),
    cell("peak"),
    storage === undefined ? "" : requestsText(storage),
    skipped === undefined ? targets.map(targetText).join("<br>") : `skipped: ${skipped}`,
  ];
}

function requestsText({ list, get, put, delete: deleted }: StorageRequests): string {
  const counts = Object.entries({ list, get, put, delete: deleted });
  const texts = counts
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${formatNumber(count)} ${kind}`);
  return texts.length === 0 ? "none" : texts.join(", ");
}

function targetText({ description, measured, met }: Target): string {
  const text = `${description}: ${formatNumber(measured)}`;
  return met ? text : `**${text}, missed**`;
}
