/** Runs the seeds of a simulation in several processes. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Outcome } from "./process.ts";

const PROGRAM = fileURLToPath(new URL("process.ts", import.meta.url));

/** A seed takes seconds. One that takes longer than this many looks at it has got into a circle. */
const MOST_LOOKS = 60;
const LOOK_MS = 10_000;

export interface Seeds {
  /** The name of a simulation. */
  readonly name: string;
  readonly first: number;
  /** The seed after the last one. */
  readonly end: number;
  /** How many processes run them, each its own. */
  readonly processes: number;
  /** Once it is aborted, all processes are ended. */
  readonly signal: AbortSignal;
  readonly onOutcome: (outcome: Outcome) => void;
  /** What runs in the processes, if that is not `process.ts`. */
  readonly program?: string;
}

/** Resolves once all seeds were run, or all processes were stopped, with the first seed that was not run. */
export async function runSeeds({ processes, ...seeds }: Seeds): Promise<number> {
  const { first, end } = seeds;
  const count = Math.min(processes, end - first);
  const stopped = Array.from({ length: count }, (_, i) => runEach(seeds, first + i, count));
  return Math.min(end, ...(await Promise.all(stopped)));
}

/** Runs every `step`-th seed, in another process after one that broke down. Returns the next seed. */
async function runEach(
  { name, end, signal, onOutcome, program = PROGRAM }: Omit<Seeds, "processes">,
  first: number,
  step: number,
): Promise<number> {
  let next = first;
  while (next < end && !signal.aborted) {
    const child = fork(program, [name, next, end, step].map(String));
    const ended = await endOf(child, signal, (outcome) => {
      next = outcome.seed + step;
      onOutcome(outcome);
    });
    if (signal.aborted || next >= end) break;
    onOutcome({ seed: next, failure: { line: ended, whole: ended } });
    next += step;
  }
  return next;
}

/** Resolves with why a process has ended, once all that it has said was heard. */
async function endOf(
  child: ChildProcess,
  signal: AbortSignal,
  onOutcome: (outcome: Outcome) => void,
): Promise<string> {
  let why = "its process has ended by itself";
  const stop = () => child.kill("SIGKILL");
  // Looks are counted, not the time, which goes on while all processes are suspended.
  let looks = 0;
  const timer = setInterval(() => {
    if (++looks < MOST_LOOKS) return;
    why = `it did not end within ${(MOST_LOOKS * LOOK_MS) / 60_000} minutes`;
    stop();
  }, LOOK_MS);
  signal.addEventListener("abort", stop);
  child.on("message", (outcome: Outcome) => {
    looks = 0;
    onOutcome(outcome);
  });
  try {
    // Either comes first, and messages before the second one.
    const [[code, by]] = await Promise.all([once(child, "exit"), once(child, "disconnect")]);
    return `${why} (${by ?? `exit code ${code}`})`;
  } finally {
    clearInterval(timer);
    signal.removeEventListener("abort", stop);
  }
}
