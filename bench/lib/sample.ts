/** The measurement of one stretch of work, and the metrics derived from it. */

export interface Sample {
  readonly requests: number;
  readonly seconds: number;
  /** Microseconds, user and system, of all threads of the measured process. */
  readonly cpu: number;
  /** Of the bodies that the scenario transfers: 1 MB is a million bytes. */
  readonly megabytes: number;
  /** Milliseconds from sending a request to the end of its response. */
  readonly p50: number;
  readonly p99: number;
  /** Milliseconds from sending a request to the first byte of its response: the median. */
  readonly firstByte: number;
}

export type Metric = (sample: Sample) => number;

/** Microseconds of CPU per request. */
export const cpu: Metric = (sample) => sample.cpu / sample.requests;
/** Microseconds of CPU of the whole sample. */
export const totalCpu: Metric = (sample) => sample.cpu;
/** Requests per second. */
export const rate: Metric = (sample) => sample.requests / sample.seconds;
/** MB per second. */
export const throughput: Metric = (sample) => sample.megabytes / sample.seconds;
export const p50: Metric = (sample) => sample.p50;
export const p99: Metric = (sample) => sample.p99;
export const firstByte: Metric = (sample) => sample.firstByte;

/** The value at a quantile, such as 0.99. Sorts the values; `NaN` when there are none. */
export function percentile(values: number[], quantile: number): number {
  values.sort((a, b) => a - b);
  const index = Math.min(values.length - 1, Math.floor(values.length * quantile));
  return values[index] ?? Number.NaN;
}

/** The middle value, or the mean of the two middle ones; `NaN` when there are none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

export function medianOf(metric: Metric, samples: readonly Sample[]): number {
  return median(samples.map(metric));
}

/**
 * The ratio to a baseline by round, since the machine may be fast in one round and slow in the next.
 * Where there are several baselines, the ratio is to their sum.
 */
export function ratios(
  metric: Metric,
  samples: readonly Sample[],
  ...baselines: readonly (readonly Sample[])[]
): number[] {
  return samples.map((sample, round) => {
    const parts = baselines.map((baseline) => baseline[round]);
    const sum = parts.reduce((sum, part) => sum + (part ? metric(part) : Number.NaN), 0);
    return metric(sample) / sum;
  });
}

/** The median of `ratios`. */
export function medianRatio(
  metric: Metric,
  samples: readonly Sample[],
  ...baselines: readonly (readonly Sample[])[]
): number {
  return median(ratios(metric, samples, ...baselines));
}
