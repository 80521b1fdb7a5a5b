/**
 * A log that may be worth compacting. It waits until its appends pause, and then runs. If it has
 * grown meanwhile, it waits again; otherwise its job is done.
 */
export interface Job {
  state: "waiting" | "running";
  /** Waiting, or running and grown: since when there may be work, and the last append. */
  since: number;
  lastAppend: number;
  /** Whether whatever can be packed is worth it, because nothing is appended any more. */
  idle: boolean;
  /** As `idle`, and at once, because storage asks for it. */
  crowded: boolean;
  /** Running: the log is to be looked at again. */
  grown: boolean;
  /** How often in a row it has failed. */
  failures: number;
  /** Resolves when the last run ends. */
  ended?: Promise<void>;
}
