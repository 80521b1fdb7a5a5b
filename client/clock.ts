/** Time, passed in where a test needs it. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after some milliseconds, or once the signal is aborted; never rejects. */
  sleep(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** `setTimeout` takes no more than 2^31 − 1. */
const LONGEST_MS = 2 ** 31 - 1;

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
        milliseconds === Number.POSITIVE_INFINITY
          ? undefined
          : setTimeout(end, Math.min(milliseconds, LONGEST_MS));
      signal.addEventListener("abort", end);
    }),
};
