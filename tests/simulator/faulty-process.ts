/** In place of `process.ts`: the seed 3 fails, the process of the seed 5 breaks down, and 8 never ends. */
const [, first = 1, end = first, step = 1] = process.argv.slice(2).map(Number);
process.once("disconnect", () => process.exit());
for (let seed = first; seed < end; seed += step) {
  if (seed === 5) process.exit(7);
  if (seed === 8) await new Promise((resolve) => setTimeout(resolve, 1e9));
  const failure = { line: "it is broken", whole: "it is broken\n    at one" };
  const outcome = { seed, ...(seed === 3 && { failure }) };
  await new Promise((resolve) => process.send?.(outcome, undefined, undefined, resolve));
}
process.exit();
