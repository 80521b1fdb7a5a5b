/** The port by which the product reports what it does; `server/metrics.ts` implements it. */
export interface Telemetry {
  /**
   * Adds `amount`, or 1, to a counter.
   *
   * @param event the value of the counter's label; absent for a counter that has none
   */
  count(counter: string, event?: string, amount?: number): void;
  /** Registers a number that is kept elsewhere: `read` is called when the metrics are collected. */
  observe(metric: string, read: () => number, event?: string): void;
}

/** Reports to nobody: for code that runs without metrics. */
export const NO_TELEMETRY: Telemetry = { count: () => undefined, observe: () => undefined };
