/** How long a test waits for what it wants to see: far longer than it takes on a busy machine. */
const PATIENCE_MS = 60_000;

/** Ends a wait in vain, which would else hold up all other tests without a word. */
export interface Patience {
  /** Rejects, with what was waited for, once the wait has been too long. */
  readonly lost: Promise<never>;
  /** To be called when there is nothing to wait for any more. */
  readonly end: () => void;
}

export function patience(what: string): Patience {
  let end: () => void = () => undefined;
  const lost = new Promise<never>((_resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`waited in vain for ${PATIENCE_MS / 1000} s: ${what}`));
    }, PATIENCE_MS);
    // What nobody waits for any more must not keep the process.
    timer.unref();
    end = () => clearTimeout(timer);
  });
  lost.catch(() => undefined);
  return { lost, end };
}
