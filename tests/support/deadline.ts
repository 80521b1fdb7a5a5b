/** How long a test waits for what it wants to see: far longer than it takes on a busy machine. */
const DEADLINE_MS = 60_000;

/** A limit on a wait, without which a failed test would hold up all others silently. */
export interface Deadline {
  /** Rejects, with what was waited for, once the time is up. */
  readonly lost: Promise<never>;
  /** To be called when the wait has ended. */
  readonly end: () => void;
}

export function startDeadline(what: () => string): Deadline {
  let end: () => void = () => undefined;
  const lost = new Promise<never>((_resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`waited for ${DEADLINE_MS / 1000} s: ${what()}`));
    }, DEADLINE_MS);
    // A deadline alone must not keep the process running.
    timer.unref();
    end = () => clearTimeout(timer);
  });
  lost.catch(() => undefined);
  return { lost, end };
}

/** What a promise resolves to. Rejects, with what was waited for, if that takes too long. */
export async function inTime<Value>(promise: Promise<Value>, what: () => string): Promise<Value> {
  const { lost, end } = startDeadline(what);
  try {
    return await Promise.race([promise, lost]);
  } finally {
    end();
  }
}
