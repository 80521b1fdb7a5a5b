import type { Clock } from "./types.ts";

/** The longest delay that `setTimeout` accepts. */
const MAX_DELAY_MS = 2 ** 31 - 1;

/** The time of the system, and its timers. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const timer =
        milliseconds === Infinity
          ? undefined
          : setTimeout(end, Math.min(milliseconds, MAX_DELAY_MS));
      signal.addEventListener("abort", end);
    }),
};
