/** In milliseconds, and no longer than a timer can wait. */
const NEVER = 1e9;

/** Timing of a compaction that does nothing by itself: the test says when. */
export const MANUAL_TIMING = {
  debounce: NEVER,
  maxDelay: NEVER,
  deleteDelay: NEVER,
  idle: NEVER,
  scanStep: NEVER,
  backoff: 0,
};
