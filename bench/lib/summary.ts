/** The figures of README.md: a few of one runtime's, in words. */
import type { Figures, Result } from "./result.ts";
import { formatNumber, table } from "./table.ts";

/** Throws if one of the results is missing. */
export function summary(results: readonly Result[]): string {
  const find = (scenario: string, inFlight?: number) => {
    const found = results.findLast((one) => one.scenario === scenario && one.inFlight === inFlight);
    if (found === undefined) throw new Error(`there is no result of ${scenario}`);
    const textOf = (figures: Figures) => (name: keyof Figures) =>
      formatNumber(figures[name] ?? Number.NaN);
    return [textOf(found.figures), textOf(found.ratios)] as const;
  };
  const [poll, polls] = find("poll");
  const [alone, alones] = find("append", 1);
  const [append, appends] = find("append", 64);
  const [sync, syncs] = find("first-sync");
  const [upload, uploads] = find("bulk-upload");
  const lines = [
    [
      "Poll with nothing new",
      `no storage request; ${poll("cpu")} µs of CPU, ${polls("cpu")} times bare HTTP`,
      linkTo("poll"),
    ],
    [
      "Durable append, alone",
      `${alone("rate")} a second, ${alones("rate")} times bare HTTP that appends to one file`,
      linkTo("append"),
    ],
    [
      "Durable appends, 64 in flight",
      `${append("rate")} a second, ${appends("rate")} times the same`,
      linkTo("append"),
    ],
    [
      "First sync of 100,000 operations",
      `${sync("p50")} ms, ${syncs("throughput")} times the rate of a bare file; first byte after ${sync("firstByte")} ms`,
      linkTo("first-sync"),
    ],
    [
      "Upload of 100,000 operations",
      `${upload("throughput")} MB a second, ${uploads("throughput")} times bare HTTP that appends to one file`,
      linkTo("bulk-upload"),
    ],
  ];
  return table(["On Node, storage in a folder", "", ""], lines, 3);
}

/** Where README.md says what a scenario is. */
function linkTo(scenario: string): string {
  return `[${scenario}](bench/README.md#what-the-scenarios-do)`;
}
