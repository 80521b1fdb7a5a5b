/**
 * `npm run bench`: measures the server beside baselines, or beside another version. This process is
 * the load generator; server and baselines run in their own processes. See README.md in this folder.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Comparison, compareScenario, comparisonTable, isSlower } from "./lib/comparison.ts";
import { BenchContext } from "./lib/context.ts";
import { withTemporaryFolder } from "./lib/folder.ts";
import { interleave } from "./lib/interleave.ts";
import { machineOf } from "./lib/machine.ts";
import { HELP, InvalidArguments, type Options, readOptions } from "./lib/options.ts";
import { plot } from "./lib/plot.ts";
import {
  markdown,
  provenance,
  type Report,
  RUNTIME_TITLES,
  type RuntimeResults,
} from "./lib/report.ts";
import type { Result } from "./lib/result.ts";
import { findRuntime, RUNTIMES, type Runtime } from "./lib/runtimes.ts";
import type { Scenario } from "./lib/scenario.ts";
import { SCENARIOS } from "./scenarios.ts";

async function main(args: string[]): Promise<void> {
  const options = readOptions(args);
  if (options === undefined) {
    console.log(HELP);
    return;
  }
  if (process.platform !== "linux") {
    throw new InvalidArguments("CPU and memory are read from /proc, which only Linux has");
  }
  // The output folder does not affect the results.
  const shown = args.join(" ").replace(/ *--(add|out[ =]\S+)/g, "");
  const command = `npm run bench${shown === "" ? "" : ` -- ${shown}`}`;
  await withTemporaryFolder(options.folder, (folder) =>
    options.compare === undefined
      ? measureAll({ ...options, folder }, command)
      : compareAll({ ...options, folder }, command, options.compare),
  );
}

/** Measures all scenarios on all runtimes, and writes the report after each of them. */
async function measureAll(options: Options, command: string): Promise<void> {
  const path = join(options.out, "results.json");
  const old: Report | undefined =
    options.add && existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
  const machine = machineOf(options.folder);
  let all = old?.runtimes ?? [];
  let text = "";
  mkdirSync(options.out, { recursive: true });
  for (const name of options.runtimes) {
    const runtime = findRuntime(name);
    const context = new BenchContext({ ...options, runtime });
    const results: Result[] = [];
    for (const [scenario, experiments] of selected(options)) {
      await timed(runtime, scenario, async () => {
        results.push(...(await measure(context, experiments)));
      });
      all = merge(all, { runtime: runtime.name, version: runtime.version, results });
      const report: Report = {
        date: new Date().toISOString(),
        command: old === undefined ? command : `${old.command} && ${command}`,
        machine,
        runtimes: all,
      };
      text = markdown(report);
      writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
      writeFileSync(join(options.out, "results.md"), `${text}\n`);
      const svg = plot(report);
      if (svg !== undefined) writeFileSync(join(options.out, "results.svg"), svg);
    }
  }
  console.log(text);
}

async function measure(context: BenchContext, scenario: Scenario): Promise<Result[]> {
  const results: Result[] = [];
  for (const prepare of scenario) {
    try {
      const experiment = await prepare(context);
      const seconds = await interleave(experiment.subjects, context.rounds);
      results.push(...experiment.results(seconds));
    } finally {
      await context.stop();
    }
  }
  return results;
}

/** Replaces the results of a runtime's scenarios by new ones. */
function merge(
  all: readonly RuntimeResults[],
  { results, ...runtime }: RuntimeResults,
): RuntimeResults[] {
  const old = all.find((one) => one.runtime === runtime.runtime)?.results ?? [];
  const merged = Object.keys(SCENARIOS).flatMap((scenario) => {
    const found = results.filter((result) => result.scenario === scenario);
    return found.length > 0 ? found : old.filter((result) => result.scenario === scenario);
  });
  const others = all.filter((one) => one.runtime !== runtime.runtime);
  return RUNTIMES.flatMap((name) =>
    name === runtime.runtime
      ? { ...runtime, results: merged }
      : others.filter((one) => one.runtime === name),
  );
}

/** Compares the server of this checkout with that of another. */
async function compareAll(options: Options, command: string, checkout: string): Promise<void> {
  const runtimes = options.runtimes.map(findRuntime);
  const machine = machineOf(options.folder);
  const described = runtimes.map(({ name, version }) => ({ runtime: name, version }));
  const date = new Date().toISOString();
  console.log(
    `${provenance({ command, date, machine, runtimes: described })} ` +
      `This checkout divided by ${checkout}: the median of ${options.rounds} rounds (least–greatest).`,
  );
  const slower: string[] = [];
  for (const runtime of runtimes) {
    const here = new BenchContext({ ...options, runtime });
    const there = new BenchContext({ ...options, runtime, checkout });
    const comparisons: Comparison[] = [];
    for (const [scenario, experiments] of selected(options)) {
      await timed(runtime, scenario, async () => {
        comparisons.push(...(await compareScenario(scenario, experiments, [here, there])));
      });
    }
    console.log(`\n**${RUNTIME_TITLES[runtime.name]}**\n\n${comparisonTable(comparisons)}`);
    slower.push(...comparisons.filter(isSlower).map(({ work }) => `${runtime.name}: ${work}`));
  }
  console.log(
    slower.length === 0
      ? "\nNothing got slower by more than the noise."
      : `\nSlower by more than the noise:\n${slower.map((line) => `- ${line}`).join("\n")}`,
  );
  if (slower.length > 0) process.exitCode = 1;
}

function selected({ scenarios }: Options): [string, Scenario][] {
  return Object.entries(SCENARIOS).filter(([name]) => scenarios.includes(name));
}

async function timed(runtime: Runtime, scenario: string, work: () => Promise<void>): Promise<void> {
  const since = performance.now();
  await work();
  const seconds = Math.round((performance.now() - since) / 1000);
  console.error(`${runtime.name} ${scenario}: ${seconds} s`);
}

await main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof InvalidArguments ? `${error.message}; see --help` : error);
  process.exitCode = 1;
});
