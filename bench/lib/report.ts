/** The results as Markdown. */
import type { Machine } from "./machine.ts";
import type { Check, Figures, Requests, Result } from "./result.ts";
import type { RuntimeName } from "./runtimes.ts";

/** What was measured on one runtime. */
export interface Measured {
  readonly runtime: RuntimeName;
  readonly version: string;
  readonly results: readonly Result[];
}

export interface Report {
  /** ISO 8601. */
  readonly date: string;
  /** What was typed. */
  readonly command: string;
  readonly machine: Machine;
  readonly runtimes: readonly Measured[];
}

/** How a runtime is called in headings, in the order of the tables. */
export const RUNTIME_TITLES: Readonly<Record<RuntimeName, string>> = {
  node: "Node",
  bun: "Bun",
  deno: "Deno",
};

const HEAD = [
  "Row",
  "Work",
  "CPU µs a request",
  "Requests/s or MB/s",
  "p50 ms",
  "p99 ms",
  "First byte ms",
  "Peak MB",
  "Storage requests",
  "To reach: reached",
];

/** The whole report: the machine, a table for each runtime, and how to read it. */
export function markdown({ date, command, machine, runtimes }: Report): string {
  const { processor, cores, memoryGB, kernel, fileSystem } = machine;
  const versions = runtimes.map(({ runtime, version }) => `${RUNTIME_TITLES[runtime]} ${version}`);
  return [
    `\`${command}\`, ${date.slice(0, 10)}: ${cores} cores of ${processor}, ${memoryGB} GB, ` +
      `${kernel}, ${fileSystem}; ${versions.join(", ")}. ` +
      "In brackets: the figure divided by that of the floor, in the same run.",
    ...runtimes.map(({ runtime, results }) => {
      const table = [line(HEAD), line(HEAD.map((_, i) => (i < 2 ? "---" : "---:")))];
      return [`**${RUNTIME_TITLES[runtime]}**`, "", ...table, ...results.map(resultLine)].join(
        "\n",
      );
    }),
  ].join("\n\n");
}

function resultLine({ row, work, figures, ratios, storage, checks, skipped }: Result): string {
  const reached = skipped === undefined ? checks.map(checkText) : [`skipped: ${skipped}`];
  const cell = (name: keyof Figures, unit = "") => {
    const [figure, ratio] = [figures[name], ratios[name]];
    if (figure === undefined) return "";
    const value = `${number(figure)}${unit}`;
    return ratio === undefined ? value : `${value} (${number(ratio)})`;
  };
  return line([
    `\`${row}\``,
    work,
    cell("cpu"),
    figures.speed === undefined ? cell("rate", "/s") : cell("speed", " MB/s"),
    cell("p50"),
    cell("p99"),
    cell("firstByte"),
    cell("peak"),
    storage === undefined ? "" : requests(storage),
    reached.join("<br>"),
  ]);
}

function requests(storage: Requests): string {
  const told = Object.entries(storage).filter(([, count]) => count > 0);
  const texts = told.map(([kind, count]) => `${number(count)} ${kind}`);
  return texts.length === 0 ? "none" : texts.join(", ");
}

function checkText({ what, reached, met }: Check): string {
  return met ? `${what}: ${number(reached)}` : `**${what}: ${number(reached)}, missed**`;
}

/** Three digits that count; whole numbers above that. */
function number(value: number): string {
  const digits = { maximumSignificantDigits: Math.abs(value) < 1000 ? 3 : 21 };
  return (Math.abs(value) < 1000 ? value : Math.round(value)).toLocaleString("en", digits);
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(" | ")} |`;
}
