import type { CounterName, ObservedName } from "../../oplog/telemetry.ts";
import type { Metrics } from "../metrics.ts";

/** The metrics that the status page shows. */
const SHOWN = [
  ...["requests_running", "waiting", "waits", "refusals", "log_lines_lost", "log_damage"],
  ...["cluster_reached", "cluster_missing", "storage_requests", "storage_failures"],
  ...["disk_free_bytes", "disk_size_bytes", "disk_free_files", "journal_bytes", "object_cache"],
  ...["compaction", "compaction_logs", "superseded_objects", "retention", "operations"],
] as const satisfies readonly (CounterName | ObservedName)[];

type Shown = (typeof SHOWN)[number];

/** What the metrics were at one moment. */
export class Numbers {
  readonly #numbers: ReadonlyMap<Shown, ReadonlyMap<string, number>>;

  private constructor(numbers: ReadonlyMap<Shown, ReadonlyMap<string, number>>) {
    this.#numbers = numbers;
  }

  static async of(metrics: Metrics): Promise<Numbers> {
    return new Numbers(
      new Map(
        await Promise.all(SHOWN.map(async (name) => [name, await metrics.numbers(name)] as const)),
      ),
    );
  }

  /** A number, by the value of its label where it has one; `undefined` where it is not known. */
  find(metric: Shown, event = ""): number | undefined {
    return this.#numbers.get(metric)?.get(event);
  }

  /** The same, or 0. */
  of(metric: Shown, event = ""): number {
    return this.find(metric, event) ?? 0;
  }

  /** The sum over all values of the label. */
  sum(metric: Shown): number {
    return [...(this.#numbers.get(metric)?.values() ?? [])].reduce((sum, each) => sum + each, 0);
  }

  /** Those that are not 0, the largest first. */
  largest(metric: Shown): (readonly [event: string, number: number])[] {
    const numbers = [...(this.#numbers.get(metric) ?? [])];
    return numbers.filter(([, number]) => number > 0).sort(([, a], [, b]) => b - a);
  }
}
