import type { BenchContext } from "./context.ts";
import type { Measurable } from "./interleave.ts";
import type { Result } from "./result.ts";

/** Subjects that take turns, and the lines of the table that their samples make. */
export interface Experiment {
  readonly subjects: readonly Measurable[];
  /** @param seconds how long all rounds took */
  readonly results: (seconds: number) => Result[];
}

/** Experiments that are prepared and measured one after the other. */
export type Scenario = readonly ((context: BenchContext) => Promise<Experiment>)[];
