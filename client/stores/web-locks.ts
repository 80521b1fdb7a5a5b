/** Web Locks, which the browser releases when a tab ends. */

/** For so long, a tab waits for another one that may have been suspended. */
const PATIENCE_MS = 30_000;

/**
 * Takes a Web Lock. Returns a function that releases it; `undefined` if it is held, and only one that is
 * available was wanted.
 */
export function takeWebLock(
  name: string,
  options: { readonly ifAvailable: true } | { readonly mode: "shared" },
): Promise<(() => void) | undefined> {
  return new Promise((resolve, reject) => {
    navigator.locks
      .request(name, options, (granted) => {
        if (granted === null) return resolve(undefined);
        return new Promise<void>((release) => resolve(release));
      })
      .catch(reject);
  });
}

/**
 * Runs a task under a Web Lock. From a tab that holds it for too long, because the browser has suspended
 * it, the lock is taken away.
 */
export async function underWebLock<Result>(
  name: string,
  task: () => Promise<Result>,
): Promise<Result> {
  const running: Promise<Result>[] = [];
  const run = async () => {
    running.push(task());
    await running[0];
  };
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    await navigator.locks.request(name, { signal }, run);
  } catch (error) {
    const isLate = error instanceof DOMException && error.name === "TimeoutError";
    if (running.length === 0 && !isLate) throw error;
    // An error of the task, or of a lock that was taken away, is the task's to report.
    if (running.length === 0) {
      await navigator.locks.request(name, { steal: true }, run).catch(() => undefined);
    }
  }
  const [result] = running;
  if (result === undefined) throw new Error("another tab keeps this one from storing anything");
  return result;
}
