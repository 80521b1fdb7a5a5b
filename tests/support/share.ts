/**
 * How the many cases of a test are divided among the runtimes: they are about the same code, and
 * the three runs of `npm test` try all of them together. What depends on a runtime has tests of its own
 * that run whole on each.
 */
const RUNTIMES = 3;
const { bun, deno } = process.versions;
const RUNTIME = bun !== undefined ? 1 : deno !== undefined ? 2 : 0;

/** How many of so many random cases this runtime tries. */
export function share(cases: number): number {
  return Math.ceil(cases / RUNTIMES);
}

/** The seeds from 1 to a last one that are this runtime's. */
export function* sharedSeeds(last: number): Generator<number> {
  for (let seed = 1 + RUNTIME; seed <= last; seed += RUNTIMES) yield seed;
}

/** The positions in something of a length that are this runtime's. */
export function* sharedPositions(length: number): Generator<number> {
  for (let at = RUNTIME; at < length; at += RUNTIMES) yield at;
}
