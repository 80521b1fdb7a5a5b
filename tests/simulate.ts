/**
 * Runs simulations: of the log, of journals, of devices that make snapshots, of the same with copies of
 * devices, of tabs, of tabs that make snapshots, and of devices that are killed.
 *
 *     npm run simulate [-- [SEEDS [FIRST]] [--only NAME] [--processes COUNT]]
 *
 * 10,000 seeds from 1 by default, on all cores. Prints each seed that breaks an invariant as soon as it
 * does; `npm run simulate -- 1 SEED --only NAME` runs it again, and prints all of its error.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { runSeeds } from "./simulator/seeds.ts";
import { simulations } from "./simulator/simulations.ts";

const { values, positionals } = parseArgs({
  options: { only: { type: "string" }, processes: { type: "string" } },
  allowPositionals: true,
});
const { only } = values;
const most = numberOf(positionals[0], 10_000);
const first = numberOf(positionals[1], 1);
const processes = numberOf(values.processes, availableParallelism());
if (only !== undefined && !simulations.has(only)) {
  throw new TypeError(`--only takes one of these: ${[...simulations.keys()].join(", ")}`);
}

const stopping = new AbortController();
const { signal } = stopping;
for (const name of ["SIGINT", "SIGTERM"] as const) process.once(name, () => stopping.abort());

for (const [name, { share = 1 }] of simulations) {
  if (signal.aborted || (only !== undefined && name !== only)) continue;
  const seeds = Math.ceil(most * share);
  let [run, failed] = [0, 0];
  const end = await runSeeds({
    ...{ name, first, end: first + seeds, processes, signal },
    onOutcome: ({ seed, failure }) => {
      run++;
      if (failure !== undefined) {
        failed++;
        showProgress("");
        console.error(`${name}, seed ${seed}: ${seeds === 1 ? failure.whole : failure.line}`);
      }
      showProgress(`${name}: ${run} of ${seeds} seeds, ${failed} failed`);
    },
  });
  showProgress("");
  console.log(`${name}: ${run} seeds from ${first}, ${failed} failed`);
  const rest = first + seeds - end;
  if (rest > 0) {
    console.log(`to go on: npm run simulate -- ${rest} ${end} --only ${name}`);
  }
  if (failed > 0 || signal.aborted) process.exitCode = 1;
}

/** Replaces the line of a terminal. */
function showProgress(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`);
}

/** Throws a `TypeError` for anything but a whole number from 1. */
function numberOf(text: string | undefined, byDefault: number): number {
  const number = text === undefined ? byDefault : Number(text);
  if (Number.isSafeInteger(number) && number > 0) return number;
  throw new TypeError(`this takes a whole number from 1, not "${text}"`);
}
