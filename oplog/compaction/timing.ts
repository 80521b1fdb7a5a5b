/** In milliseconds. */
export interface CompactionTiming {
  /** A log is compacted once nothing was appended to it for this long … */
  readonly debounce: number;
  /** … or this long after it first seemed worth it. */
  readonly maxDelay: number;
  /**
   * Superseded objects are deleted this long after the segment was stored, or a little later. By
   * then, a list or a copy of the storage that began before has ended, so that it cannot miss both.
   */
  readonly deleteDelay: number;
  /** A log is packed whatever it holds once nothing was appended to it for this long. */
  readonly idle: number;
  /** The time between two looks for idle logs, each with a step of the scan. */
  readonly scanStep: number;
  /** How long a log is left alone after it could not be compacted, or was found not worth it. */
  readonly backoff: number;
}

/** When logs are compacted by default. */
export const TIMING: CompactionTiming = {
  debounce: 1_000,
  maxDelay: 30_000,
  deleteDelay: 5_000,
  idle: 24 * 60 * 60_000,
  scanStep: 60_000,
  backoff: 60_000,
};
