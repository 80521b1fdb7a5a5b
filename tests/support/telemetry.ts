import type { CounterName, ObservedName, Telemetry } from "../../oplog/telemetry.ts";

/** Telemetry that keeps what is reported, for tests to read. */
export class RecordingTelemetry implements Telemetry {
  readonly #counts = new Map<string, number>();
  readonly #reads = new Map<string, () => number>();

  count(counter: CounterName, event = "", amount = 1): void {
    const key = `${counter}.${event}`;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + amount);
  }

  observe(metric: ObservedName, read: () => number, event = ""): void {
    this.#reads.set(`${metric}.${event}`, read);
  }

  /** The value of a counter or of an observed number, now. */
  value(metric: CounterName | ObservedName, event = ""): number {
    const key = `${metric}.${event}`;
    return this.#reads.get(key)?.() ?? this.#counts.get(key) ?? 0;
  }
}
