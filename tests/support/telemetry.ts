import type { Telemetry } from "../../oplog/telemetry.ts";

/** Telemetry that keeps what is reported, for tests to read. */
export class RecordingTelemetry implements Telemetry {
  readonly #counts = new Map<string, number>();
  readonly #reads = new Map<string, () => number>();

  count(counter: string, event = "", amount = 1): void {
    const key = `${counter}.${event}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + amount);
  }

  observe(metric: string, read: () => number, event = ""): void {
    this.#reads.set(`${metric}.${event}`, read);
  }

  /** The value of a counter or of an observed number, now. */
  value(metric: string, event = ""): number {
    const key = `${metric}.${event}`;
    return this.#reads.get(key)?.() ?? this.#counts.get(key) ?? 0;
  }
}
