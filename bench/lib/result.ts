/** A line of the table. */
import { against, cpu, firstByte, p50, p99, rate, type Slot, speed, typical } from "./figures.ts";

/** The figures that a line can have; those without a sense for its work are left out. */
export interface Figures {
  /** Microseconds of CPU for a request. */
  readonly cpu?: number;
  /** Requests a second. */
  readonly rate?: number;
  /** MB a second. */
  readonly speed?: number;
  /** Milliseconds. */
  readonly p50?: number;
  readonly p99?: number;
  readonly firstByte?: number;
  /** MB above what the process had before the work. */
  readonly peak?: number;
}

/** Something to reach: a number, its limit, and whether it keeps to it. */
export interface Check {
  /** Such as "CPU ≤ 1.5 × floor". */
  readonly what: string;
  readonly reached: number;
  readonly met: boolean;
}

export interface Requests {
  readonly list: number;
  readonly get: number;
  readonly put: number;
  readonly delete: number;
}

export interface Result {
  /** Which of the rows that can be chosen it belongs to. */
  readonly row: string;
  /** What was done, such as "16 in flight, one user". */
  readonly work: string;
  readonly figures: Figures;
  /** Each figure divided by the floor's. */
  readonly ratios: Figures;
  /** What the floor is, in words. */
  readonly floor?: string;
  /** What the server asked of storage, over all rounds. */
  readonly storage?: Requests;
  readonly checks: readonly Check[];
  /** Why there are no figures. */
  readonly skipped?: string;
  /** Everything that was measured, by round. */
  readonly rounds: Readonly<Record<string, readonly Slot[]>>;
}

export const NOTHING: Requests = { list: 0, get: 0, put: 0, delete: 0 };

export function plus(a: Requests, b: Requests): Requests {
  return {
    list: a.list + b.list,
    get: a.get + b.get,
    put: a.put + b.put,
    delete: a.delete + b.delete,
  };
}

/** The figures of many small requests. */
export function requestFigures(slots: readonly Slot[]): Figures {
  return {
    cpu: typical(slots, cpu),
    rate: typical(slots, rate),
    p50: typical(slots, p50),
    p99: typical(slots, p99),
  };
}

export function requestRatios(slots: readonly Slot[], floor: readonly Slot[]) {
  return {
    cpu: against(slots, floor, cpu),
    rate: against(slots, floor, rate),
    p50: against(slots, floor, p50),
    p99: against(slots, floor, p99),
  };
}

/** The figures of large transfers. */
export function transferFigures(slots: readonly Slot[]) {
  return {
    cpu: typical(slots, cpu),
    speed: typical(slots, speed),
    p50: typical(slots, p50),
    firstByte: typical(slots, firstByte),
  };
}

/** The CPU is that of the whole transfer: a floor may count other requests than the server. */
export function transferRatios(slots: readonly Slot[], floor: readonly Slot[]) {
  return {
    cpu: against(slots, floor, (slot) => slot.cpu),
    speed: against(slots, floor, speed),
    p50: against(slots, floor, p50),
    firstByte: against(slots, floor, firstByte),
  };
}

/** The ratio of two peaks; none where the floor's is next to nothing: the kernel sends the file. */
export function peakRatio(peak: number, floor: number): Figures {
  return floor > 1 ? { peak: peak / floor } : {};
}

export function atMost(what: string, reached: number, limit: number): Check {
  return { what: `${what} ≤ ${limit}`, reached, met: reached <= limit };
}

export function atLeast(what: string, reached: number, limit: number): Check {
  return { what: `${what} ≥ ${limit}`, reached, met: reached >= limit };
}

export function exactly(what: string, reached: number, limit: number): Check {
  return { what: `${what} = ${limit}`, reached, met: reached === limit };
}

/** What happened between two readings of a server's counters. */
export function between<Counts extends Requests>(before: Counts, after: Counts): Requests {
  return {
    list: after.list - before.list,
    get: after.get - before.get,
    put: after.put - before.put,
    delete: after.delete - before.delete,
  };
}
