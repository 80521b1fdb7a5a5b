/**
 * Runs seeds of a simulation, and tells the process that has started it of each: `NAME FIRST END STEP`, the
 * seeds FIRST, FIRST + STEP and so on below END.
 */
import { inspect } from "node:util";
import { simulations } from "./simulations.ts";

/** What became of a seed. */
export interface Outcome {
  readonly seed: number;
  /** The error, where it has failed: in one line, and with its stack. */
  readonly failure?: { readonly line: string; readonly whole: string };
}

const [name = "", ...numbers] = process.argv.slice(2);
const [first = 1, end = first, step = 1] = numbers.map(Number);
const simulation = simulations.get(name);
if (simulation === undefined) throw new TypeError(`there is no simulation "${name}"`);

// A terminal sends it to all processes: the one that has started this one ends it.
process.on("SIGINT", () => undefined);
// That one is gone.
process.once("disconnect", () => process.exit());
for (let seed = first; seed < end; seed += step) {
  const outcome = await run(simulation.run, seed);
  await new Promise((resolve) => process.send?.(outcome, undefined, undefined, resolve));
}
process.exit();

async function run(simulate: (seed: number) => Promise<unknown>, seed: number): Promise<Outcome> {
  try {
    await simulate(seed);
    return { seed };
  } catch (error) {
    return { seed, failure: { line: String(error), whole: inspect(error, { depth: 4 }) } };
  }
}
