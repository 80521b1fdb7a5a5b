/**
 * `npm run bench`: measures the server against what the machine can do. It is the load generator as
 * well; what is measured runs in processes of its own.
 *
 * Everything stands beside a floor, which was measured in the same run, on the same runtime, taking
 * turns with the server: machines differ, and the same machine is not as fast every minute. CPU is
 * that of the measured process, all threads, user and system, as Linux counts it; memory is what is
 * resident. See README.md beside this file.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Ground } from "./lib/context.ts";
import { machineOf } from "./lib/machine.ts";
import { HELP, InvalidArguments, type Options, readOptions } from "./lib/options.ts";
import { type Measured, markdown, type Report } from "./lib/report.ts";
import type { Result } from "./lib/result.ts";
import { RUNTIMES, type RuntimeName, runtimeOf } from "./lib/runtimes.ts";
import { ROWS } from "./scenarios.ts";

/** Measures the rows on one runtime; `onResults` is told of all so far after each of them. */
async function measure(
  options: Options,
  runtimeName: RuntimeName,
  folder: string,
  onResults: (measured: Measured) => void,
): Promise<void> {
  const runtime = runtimeOf(runtimeName);
  const results: Result[] = [];
  for (const row of options.rows) {
    const since = performance.now();
    const ground = new Ground(runtime, options, folder);
    try {
      results.push(...((await ROWS[row]?.(ground)) ?? []));
    } finally {
      await ground.stop();
    }
    const seconds = Math.round((performance.now() - since) / 1000);
    console.error(`${runtime.name} ${row}: ${seconds} s`);
    onResults({ runtime: runtime.name, version: runtime.version, results });
  }
}

/** The results with those of a runtime in place of what they had of the same rows; in order. */
function merged(all: readonly Measured[], { results, ...runtime }: Measured): Measured[] {
  const old = all.find((one) => one.runtime === runtime.runtime)?.results ?? [];
  const rows = Object.keys(ROWS).flatMap((row) => {
    const found = results.filter((result) => result.row === row);
    return found.length > 0 ? found : old.filter((result) => result.row === row);
  });
  const others = all.filter((one) => one.runtime !== runtime.runtime);
  return RUNTIMES.flatMap((name) =>
    name === runtime.runtime
      ? { ...runtime, results: rows }
      : others.filter((one) => one.runtime === name),
  );
}

async function main(args: string[]): Promise<void> {
  const options = readOptions(args);
  if (options === undefined) {
    console.log(HELP);
    return;
  }
  if (process.platform !== "linux") {
    throw new InvalidArguments("CPU and memory are read from /proc: this needs Linux");
  }
  const path = join(options.out, "results.json");
  const old: Report | undefined =
    options.add && existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
  // Where the results go is of no matter to who runs it again.
  const shown = args.join(" ").replace(/ *--(add|out[ =]\S+)/g, "");
  const machine = machineOf(options.folder);
  const command = `npm run bench${shown === "" ? "" : ` -- ${shown}`}`;
  let measured = old?.runtimes ?? [];
  let text = "";
  mkdirSync(options.out, { recursive: true });
  // After each row: what has been measured is there, whatever happens to the next.
  const write = (runtime: Measured) => {
    measured = merged(measured, runtime);
    const report: Report = {
      date: new Date().toISOString(),
      command: old === undefined ? command : `${old.command} && ${command}`,
      machine,
      runtimes: measured,
    };
    text = markdown(report);
    writeFileSync(path, `${JSON.stringify(report, null, 2)}\n`);
    writeFileSync(join(options.out, "results.md"), `${text}\n`);
  };
  const folder = mkdtempSync(join(options.folder, "sync-server-bench-"));
  try {
    for (const runtime of options.runtimes) await measure(options, runtime, folder, write);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(text);
}

await main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof InvalidArguments ? `${error.message}; see --help` : error);
  process.exitCode = 1;
});
