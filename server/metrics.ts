/** The numbers behind `GET /metrics`, in the text format of Prometheus. None of them names a user. */
import type { CounterName, ObservedName, Telemetry } from "../oplog/telemetry.ts";
import type { RequestCounts } from "../storage/driver.ts";
import { VERSION } from "./config.ts";
import { Histogram, type Observations } from "./histogram.ts";
import { METRICS, type Metric } from "./metric-table.ts";
import { processMetrics } from "./process-metrics.ts";
import { RequestDurations, type RouteDurations } from "./request-durations.ts";

/** The numbers of one metric, by the value of its label; under "" where it has none. */
class Series {
  readonly #metric: Metric;
  readonly numbers: Map<string, number>;
  readonly reads = new Map<string, () => number | Promise<number>>();

  constructor(metric: Metric) {
    const { label, optional = false, values } = metric;
    this.#metric = metric;
    const shown = values ?? (label === undefined && !optional ? [""] : []);
    this.numbers = new Map(shown.map((value) => [value, 0]));
  }

  /** The numbers as they are now. Left out is what is not known. */
  async now(): Promise<Map<string, number>> {
    for (const [value, read] of this.reads) this.numbers.set(value, await read());
    return new Map([...this.numbers].filter(([, number]) => !Number.isNaN(number)));
  }

  /** The same as text, with a line feed at the end. */
  async text(): Promise<string> {
    const { type, name, help, label } = this.#metric;
    const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
    for (const [value, number] of await this.now()) {
      lines.push(`${name}${label === undefined ? "" : `{${label}="${value}"}`} ${number}`);
    }
    return `${lines.join("\n")}\n`;
  }
}

/** All metrics. Counting is plain arithmetic: text is made of it when it is asked for. */
export class Metrics implements Telemetry {
  readonly #process = processMetrics();
  readonly #series = new Map<string, Series>();
  readonly #durations = new RequestDurations();
  readonly #waits = new Histogram({
    name: "sync_wait_seconds",
    help: "How long requests waited for news.",
    bounds: [0.1, 1, 5, 10, 25, 55, 120, 240],
  });
  readonly #waited = this.#waits.of();
  readonly #storage = new Histogram({
    name: "sync_storage_seconds",
    help: "Time that calls to storage take, also those that fail.",
    bounds: [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
  });
  readonly #calls: Readonly<Record<keyof RequestCounts, Observations>> = {
    list: this.#storage.of('kind="list"'),
    get: this.#storage.of('kind="get"'),
    put: this.#storage.of('kind="put"'),
    delete: this.#storage.of('kind="delete"'),
  };
  readonly #batches = new Histogram({
    name: "sync_journal_batch_records",
    help: "Puts and deletes that one write to a journal has made durable together.",
    bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256, 512],
  });
  readonly #batched = this.#batches.of();

  constructor() {
    for (const [key, metric] of Object.entries(METRICS)) this.#series.set(key, new Series(metric));
  }

  count(counter: CounterName, event = "", amount = 1): void {
    const { numbers } = this.#of(counter);
    numbers.set(event, (numbers.get(event) ?? 0) + amount);
  }

  observe(metric: ObservedName, read: () => number | Promise<number>, event = ""): void {
    this.#of(metric).reads.set(event, read);
  }

  /** Counts an answered request. Returns where to add the time to the end of its answer. */
  answered(route: string, status: number, seconds: number): RouteDurations["end"] {
    const { head, end } = this.#durations.of(route, status);
    head.add(seconds);
    return end;
  }

  /** Counts a request that waited for news, by what ended the wait. */
  waited(end: string, seconds: number): void {
    this.count("waits", end);
    this.#waited.add(seconds);
  }

  /** Counts a call to storage. */
  called(kind: keyof RequestCounts, seconds: number): void {
    this.#calls[kind].add(seconds);
  }

  /** Counts a batch of a journal. */
  batched(records: number): void {
    this.#batched.add(records);
  }

  /** All metrics, and the media type of the text. */
  async text(): Promise<{ readonly text: string; readonly contentType: string }> {
    const process = await this.#process.metrics();
    const series = await Promise.all(Array.from(this.#series.values(), (each) => each.text()));
    const histograms = [this.#durations, this.#waits, this.#storage, this.#batches];
    const text = [process, buildInfo(), ...series, ...histograms.map((each) => each.text())];
    return { text: text.join("\n"), contentType: this.#process.contentType };
  }

  /** The numbers of one metric, by the value of its label; under "" where it has none. */
  numbers(metric: CounterName | ObservedName): Promise<ReadonlyMap<string, number>> {
    return this.#of(metric).now();
  }

  #of(metric: CounterName | ObservedName): Series {
    const series = this.#series.get(metric);
    if (series === undefined) throw new TypeError(`there is no metric ${metric}`);
    return series;
  }
}

/** The runtime and its version. */
export function runtimeHere(): readonly [name: string, version: string] {
  const { bun, deno, node } = process.versions;
  return bun ? ["bun", bun] : deno ? ["deno", deno] : ["node", node];
}

/** What runs here, as the labels of a 1. */
function buildInfo(): string {
  const [runtime, version] = runtimeHere();
  const name = "sync_build_info";
  const labels = `version="${VERSION}",runtime="${runtime}",runtime_version="${version}"`;
  return `# HELP ${name} Always 1: its labels say what runs here.
# TYPE ${name} gauge
${name}{${labels}} 1
`;
}
