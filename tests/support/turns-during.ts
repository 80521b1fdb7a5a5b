import { setImmediate } from "node:timers/promises";

/** How often other work has its turn while some work lasts. */
export async function turnsDuring(work: () => Promise<unknown>): Promise<number> {
  let turns = 0;
  let isOver = false;
  const ended = work().finally(() => {
    isOver = true;
  });
  for (; !isOver; turns++) await setImmediate();
  await ended;
  return turns;
}
