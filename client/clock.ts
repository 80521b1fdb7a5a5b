import type { Clock } from "./types.ts";

/** How often a sleep looks at the time, to notice that the device itself was asleep. */
const LOOK_MS = 10_000;

/** The time of the system, and its timers. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (milliseconds, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      let timer: ReturnType<typeof setTimeout> | undefined;
      const end = () => {
        clearTimeout(timer);
        signal.removeEventListener("abort", end);
        resolve();
      };
      const wait = (left: number) => {
        const part = Math.min(left, LOOK_MS);
        const due = Date.now() + part;
        timer = setTimeout(() => {
          const isLate = Date.now() - due > LOOK_MS;
          if (isLate || left === part) end();
          else wait(left - part);
        }, part);
      };
      if (milliseconds !== Infinity) wait(milliseconds);
      signal.addEventListener("abort", end);
    }),
};
