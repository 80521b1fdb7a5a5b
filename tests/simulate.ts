/**
 * Runs the simulation of the log: `npm run simulate [-- SEEDS [FIRST]]`, 10,000 seeds from 1 by
 * default. Prints every seed that breaks an invariant; `npm run simulate -- 1 SEED` runs it again.
 */
import { simulate } from "./support/simulation/world.ts";

const [seeds = 10_000, first = 1] = process.argv.slice(2).map(Number);
let failed = 0;
for (let seed = first; seed < first + seeds; seed++) {
  if (process.stderr.isTTY) process.stderr.write(`\r${seed - first} of ${seeds} seeds `);
  try {
    await simulate(seed);
  } catch (error) {
    failed++;
    console.error(`seed ${seed}:`, seeds === 1 ? error : String(error));
  }
}
if (process.stderr.isTTY) process.stderr.write("\r");
console.log(`${seeds} seeds from ${first}, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
