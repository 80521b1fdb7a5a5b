/** How everything is measured: warm up, then one sample of each subject in turn, round after round. */
import type { MeasuredProcess } from "./process.ts";
import { addRequests, NO_REQUESTS, requestsBetween } from "./result.ts";
import type { Sample } from "./sample.ts";
import type { ServerProcess } from "./server-process.ts";

export interface SubjectOptions<Process extends MeasuredProcess> {
  /** A running process, or a function that starts one for each round, so that its caches are empty. */
  readonly process: Process | (() => Promise<Process>);
  readonly warmUp: (process: Process) => Promise<unknown>;
  readonly sample: (process: Process, round: number) => Promise<Sample>;
}

/** Anything that takes samples in turn with others. */
export interface Measurable {
  /** Resets the peak of memory. */
  reset(): void;
  warmUp(): Promise<void>;
  /** Takes one sample. */
  measure(round: number): Promise<void>;
}

/** A process and the work that it is measured by: a baseline or a server. */
export class Subject<Process extends MeasuredProcess> implements Measurable {
  /** One for each round. */
  readonly samples: Sample[] = [];
  /** MB of memory, after each sample. Of a running process the peak so far, warm-up included. */
  readonly peaks: number[] = [];
  readonly #options: SubjectOptions<Process>;

  constructor(options: SubjectOptions<Process>) {
    this.#options = options;
  }

  reset(): void {
    const { process } = this.#options;
    if (typeof process !== "function") process.resetPeak();
  }

  async warmUp(): Promise<void> {
    const { process, warmUp } = this.#options;
    if (typeof process !== "function") await warmUp(process);
  }

  async measure(round: number): Promise<void> {
    const { process, warmUp } = this.#options;
    if (typeof process !== "function") return this.sample(process, round);
    const started = await process();
    await warmUp(started);
    started.resetPeak();
    await this.sample(started, round);
    await started.stop();
  }

  protected async sample(process: Process, round: number): Promise<void> {
    this.samples.push(await this.#options.sample(process, round));
    this.peaks.push(process.peak());
  }
}

/** A server, whose counters are read before and after each sample. */
export class ServerSubject extends Subject<ServerProcess> {
  /** Such as "poll, 10,000 operations stored". */
  readonly work: string;
  /** Over all samples. */
  storage = NO_REQUESTS;
  listingLoads = 0;
  /** After the last sample. */
  cachedRuns = 0;

  constructor(work: string, options: SubjectOptions<ServerProcess>) {
    super(options);
    this.work = work;
  }

  protected override async sample(process: ServerProcess, round: number): Promise<void> {
    const before = await process.counters();
    await super.sample(process, round);
    const after = await process.counters();
    this.storage = addRequests(this.storage, requestsBetween(before, after));
    this.listingLoads += after.listingLoads - before.listingLoads;
    this.cachedRuns = after.cachedRuns;
  }
}

/**
 * Takes samples of the subjects in turn, and returns how many seconds all rounds took. Every second
 * round goes backwards, so that drift of the machine favors none.
 */
export async function interleave(subjects: readonly Measurable[], rounds: number): Promise<number> {
  for (const subject of subjects) subject.reset();
  for (const subject of subjects) await subject.warmUp();
  const since = performance.now();
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? subjects : subjects.toReversed();
    for (const subject of order) await subject.measure(round);
  }
  return (performance.now() - since) / 1000;
}
