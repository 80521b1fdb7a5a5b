/**
 * Runs the simulations of the log, of the journals, of devices that make snapshots, and of devices that
 * are killed, of which each starts ten processes: `npm run simulate [-- SEEDS [FIRST]]`, 10,000 seeds
 * from 1 by default, and a hundredth of them for devices that are killed. Prints every seed that breaks an invariant; `npm run simulate -- 1 SEED`
 * runs it again.
 */
import { simulate as simulateJournals } from "./storage/journal/simulation.ts";
import { killAgainAndAgain } from "./support/killed-store.ts";
import { simulate as simulateLog } from "./support/simulation/world.ts";
import { simulateSnapshots } from "./support/snapshot-simulation.ts";

const [most = 10_000, first = 1] = process.argv.slice(2).map(Number);
for (const [what, seeds, simulate] of [
  ["the log", most, simulateLog],
  ["journals", most, simulateJournals],
  ["snapshots", most, (seed: number) => simulateSnapshots(seed)],
  ["snapshots, and copies of devices", most, (seed: number) => simulateSnapshots(seed, true)],
  ["devices that are killed", Math.ceil(most / 100), (seed: number) => killAgainAndAgain(seed, 10)],
] as const) {
  let failed = 0;
  for (let seed = first; seed < first + seeds; seed++) {
    if (process.stderr.isTTY) process.stderr.write(`\r${what}: ${seed - first} of ${seeds} seeds `);
    try {
      await simulate(seed);
    } catch (error) {
      failed++;
      console.error(`${what}, seed ${seed}:`, seeds === 1 ? error : String(error));
    }
  }
  if (process.stderr.isTTY) process.stderr.write("\r");
  console.log(`${what}: ${seeds} seeds from ${first}, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
}
