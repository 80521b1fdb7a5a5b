/** How often is looked at what is waited for, in milliseconds. */
const LOOK_EVERY = 100;

const watched = new Set<() => void>();
let timer: ReturnType<typeof setInterval> | undefined;

/**
 * Calls `look` now and then until the function it returns is called. One timer for all: one for
 * each request would cost more than it takes to read a short body.
 */
export function deadline(look: () => void): () => void {
  watched.add(look);
  timer ??= setInterval(() => {
    for (const look of watched) look();
    if (watched.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  }, LOOK_EVERY);
  return () => {
    watched.delete(look);
  };
}
