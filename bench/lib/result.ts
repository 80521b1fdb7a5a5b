/** A line of the result table. */
import {
  cpu,
  firstByte,
  medianOf,
  medianRatio,
  p50,
  p99,
  rate,
  type Sample,
  throughput,
  totalCpu,
} from "./sample.ts";

/** Figures of a line. Those that mean nothing for its work are left out. */
export interface Figures {
  /** Microseconds of CPU per request. */
  readonly cpu?: number;
  /** Requests per second. */
  readonly rate?: number;
  /** MB per second. */
  readonly throughput?: number;
  /** Milliseconds. */
  readonly p50?: number;
  readonly p99?: number;
  readonly firstByte?: number;
  /** MB of memory above what the process had before the work. */
  readonly peak?: number;
}

/** A limit that a scenario sets itself, and the value that was measured. */
export interface Target {
  /** Such as "CPU / baseline ≤ 1.5". */
  readonly description: string;
  readonly measured: number;
  readonly met: boolean;
}

/** Requests to storage by kind. */
export interface StorageRequests {
  readonly list: number;
  readonly get: number;
  readonly put: number;
  readonly delete: number;
}

export interface Result {
  /** The scenario, as `--scenarios` names it. */
  readonly scenario: string;
  /** Such as "append, 16 in flight, one user". */
  readonly work: string;
  /** Operations in flight, where the plot shows the rate. */
  readonly inFlight?: number;
  readonly figures: Figures;
  /** Each figure divided by the baseline's. */
  readonly ratios: Figures;
  readonly baseline?: string;
  /** Requests of the server to storage, over all rounds. */
  readonly storage?: StorageRequests;
  readonly targets: readonly Target[];
  /** Kept out of the table, which has another line that says much the same. */
  readonly isUnlisted?: boolean;
  /** Why there are no figures. */
  readonly skipped?: string;
  /** All samples, in the order of the rounds. */
  readonly samples: Readonly<Record<string, readonly Sample[]>>;
}

/** The line of something that cannot be measured here. */
export function skippedResult(scenario: string, work: string, why: string): Result {
  return { scenario, work, figures: {}, ratios: {}, targets: [], samples: {}, skipped: why };
}

export const NO_REQUESTS: StorageRequests = { list: 0, get: 0, put: 0, delete: 0 };

export function addRequests(a: StorageRequests, b: StorageRequests): StorageRequests {
  return combined(a, b, 1);
}

/** The requests between two readings of a server's counters. */
export function requestsBetween(before: StorageRequests, after: StorageRequests): StorageRequests {
  return combined(after, before, -1);
}

function combined(a: StorageRequests, b: StorageRequests, sign: 1 | -1): StorageRequests {
  return {
    list: a.list + sign * b.list,
    get: a.get + sign * b.get,
    put: a.put + sign * b.put,
    delete: a.delete + sign * b.delete,
  };
}

export type RequestFigures = ReturnType<typeof requestFigures>;

/** The figures of many small requests. */
export function requestFigures(samples: readonly Sample[]) {
  return {
    cpu: medianOf(cpu, samples),
    rate: medianOf(rate, samples),
    p50: medianOf(p50, samples),
    p99: medianOf(p99, samples),
  };
}

export function requestRatios(samples: readonly Sample[], baseline: readonly Sample[]) {
  return {
    cpu: medianRatio(cpu, samples, baseline),
    rate: medianRatio(rate, samples, baseline),
    p50: medianRatio(p50, samples, baseline),
    p99: medianRatio(p99, samples, baseline),
  };
}

/** The line of many small requests to a server beside a baseline. */
export function requestResult(
  line: Pick<Result, "scenario" | "work" | "baseline" | "inFlight" | "storage">,
  samples: { readonly server: readonly Sample[]; readonly baseline: readonly Sample[] },
  targetsOf: (ratios: RequestFigures) => readonly Target[],
): Result {
  const ratios = requestRatios(samples.server, samples.baseline);
  const figures = requestFigures(samples.server);
  return { ...line, figures, ratios, targets: targetsOf(ratios), samples: { ...samples } };
}

/** The figures of large transfers. */
export function transferFigures(samples: readonly Sample[]) {
  return {
    cpu: medianOf(cpu, samples),
    throughput: medianOf(throughput, samples),
    p50: medianOf(p50, samples),
    firstByte: medianOf(firstByte, samples),
  };
}

/** CPU is compared for whole transfers: a baseline may need another number of requests. */
export function transferRatios(samples: readonly Sample[], baseline: readonly Sample[]) {
  return {
    cpu: medianRatio(totalCpu, samples, baseline),
    throughput: medianRatio(throughput, samples, baseline),
    p50: medianRatio(p50, samples, baseline),
    firstByte: medianRatio(firstByte, samples, baseline),
  };
}

/** The ratio of two peaks; none where the baseline's is almost 0, as when the kernel sends the file. */
export function peakRatio(peak: number, baseline: number): Figures {
  return baseline > 1 ? { peak: peak / baseline } : {};
}

export function atMost(what: string, measured: number, limit: number): Target {
  return { description: `${what} ≤ ${limit}`, measured, met: measured <= limit };
}

export function atLeast(what: string, measured: number, limit: number): Target {
  return { description: `${what} ≥ ${limit}`, measured, met: measured >= limit };
}

export function exactly(what: string, measured: number, limit: number): Target {
  return { description: `${what} = ${limit}`, measured, met: measured === limit };
}
