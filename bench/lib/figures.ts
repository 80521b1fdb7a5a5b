/** What was measured, and what is made of it. */

/** One stretch of work, measured. */
export interface Slot {
  readonly requests: number;
  readonly seconds: number;
  /** Of the measured process, all threads, user and system: microseconds. */
  readonly cpu: number;
  /** Of the bodies that count: 1 MB is a million bytes. */
  readonly megabytes: number;
  /** Milliseconds from sending a request to the end of its answer. */
  readonly p50: number;
  readonly p99: number;
  /** Milliseconds from sending a request to the first byte of its answer; the median. */
  readonly firstByte: number;
}

/** A number read off a slot. */
export type Figure = (slot: Slot) => number;

/** Microseconds of CPU for a request. */
export const cpu: Figure = (slot) => slot.cpu / slot.requests;
/** Requests a second. */
export const rate: Figure = (slot) => slot.requests / slot.seconds;
/** MB a second. */
export const speed: Figure = (slot) => slot.megabytes / slot.seconds;
export const p50: Figure = (slot) => slot.p50;
export const p99: Figure = (slot) => slot.p99;
export const firstByte: Figure = (slot) => slot.firstByte;

/** The value that a share of the values does not exceed; sorts them. `NaN` when there are none. */
export function percentile(values: number[], share: number): number {
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.floor(values.length * share))] ?? Number.NaN;
}

/** The middle value; between two middle ones, their mean. `NaN` when there are none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** The median of a figure over the rounds. */
export function typical(slots: readonly Slot[], figure: Figure): number {
  return median(slots.map(figure));
}

/** As `against`, for work in two parts: to the floors of both together. */
export function againstBoth(
  slots: readonly Slot[],
  [one, other]: readonly [readonly Slot[], readonly Slot[]],
  figure: Figure,
): number {
  return median(
    slots.map((slot, round) => {
      const [a, b] = [one[round], other[round]];
      return a && b ? figure(slot) / (figure(a) + figure(b)) : Number.NaN;
    }),
  );
}

/**
 * How a figure stands to that of a floor: each round's against the floor of the same round, and of
 * these the median, since the machine may be fast in one round and slow in the next.
 */
export function against(
  slots: readonly Slot[],
  floor: readonly Slot[],
  figure: Figure,
  floorFigure: Figure = figure,
): number {
  return median(
    slots.map((slot, round) => {
      const below = floor[round];
      return below === undefined ? Number.NaN : figure(slot) / floorFigure(below);
    }),
  );
}
