import { setImmediate } from "node:timers/promises";

/**
 * How often other work has its turn while some work lasts, which looks at the clock to let it: the work
 * takes long, however fast the machine is.
 */
export async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isOver = false;
  const ended = whileTimePasses(work).finally(() => {
    isOver = true;
  });
  for (; !isOver; turns++) await setImmediate();
  await ended;
  return turns;
}

/** Does work for which each look at the clock takes a millisecond. */
export async function whileTimePasses<Result>(work: () => Promise<Result>): Promise<Result> {
  const { now } = performance;
  let looks = 0;
  performance.now = () => now.call(performance) + ++looks;
  try {
    return await work();
  } finally {
    performance.now = now;
  }
}
