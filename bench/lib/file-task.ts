/** Tasks for `bench/baselines/files.ts`: one a line on its standard input, as JSON. */

/** Work for some seconds. */
export interface TimedFileTask {
  readonly work: "objects" | "append";
  /** A folder that exists and is empty. */
  readonly folder: string;
  /** How many folders the objects go into; the workers share them evenly. */
  readonly folders: number;
  readonly inFlight: number;
  /** Of each object. */
  readonly bytes: number;
  readonly seconds: number;
}

export type FileTask = TimedFileTask | { readonly work: "read"; readonly folder: string };

export interface FileTaskResult {
  readonly requests: number;
  readonly seconds: number;
  readonly bytes: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** The line by which it says that it accepts tasks. */
export const READY_FOR_TASKS = "ready for file tasks on standard input";
