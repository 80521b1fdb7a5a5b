/**
 * Histograms in the text format of Prometheus. Not those of prom-client: they hash the labels of each
 * observation, which takes 8 % of a poll.
 */

export interface HistogramOptions {
  readonly name: string;
  readonly help: string;
  /** Upper bounds of the buckets, in ascending order. */
  readonly bounds: readonly number[];
}

/** The observations under one set of labels. */
export class Observations {
  readonly #bounds: readonly number[];
  /** How many fell into each bucket; those beyond the last bound are in none. */
  readonly #buckets: number[];
  #count = 0;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#buckets = bounds.map(() => 0);
  }

  add(value: number): void {
    this.#count++;
    this.#sum += value;
    const bounds = this.#bounds;
    for (let i = 0; i < bounds.length; i++) {
      if (value > (bounds[i] ?? 0)) continue;
      this.#buckets[i] = (this.#buckets[i] ?? 0) + 1;
      return;
    }
  }

  /** @param labels as they stand between braces, such as `kind="get"`; empty for none */
  lines(name: string, labels: string): string[] {
    const [more, all] = labels === "" ? ["", ""] : [`,${labels}`, `{${labels}}`];
    let atMost = 0;
    const buckets = this.#bounds.map((bound, i) => {
      atMost += this.#buckets[i] ?? 0;
      return `${name}_bucket{le="${bound}"${more}} ${atMost}`;
    });
    return [
      ...buckets,
      `${name}_bucket{le="+Inf"${more}} ${this.#count}`,
      `${name}_sum${all} ${this.#sum}`,
      `${name}_count${all} ${this.#count}`,
    ];
  }
}

/** A histogram: observations for each set of labels. */
export class Histogram {
  readonly #options: HistogramOptions;
  readonly #series = new Map<string, Observations>();

  constructor(options: HistogramOptions) {
    this.#options = options;
  }

  /** Where to add what is observed under some labels: to be kept by the caller. */
  of(labels = ""): Observations {
    let series = this.#series.get(labels);
    if (series === undefined) {
      series = new Observations(this.#options.bounds);
      this.#series.set(labels, series);
    }
    return series;
  }

  /** All series, with a line feed at the end. */
  text(): string {
    const { name, help } = this.#options;
    const lines = [`# HELP ${name} ${help}`, `# TYPE ${name} histogram`];
    for (const [labels, series] of this.#series) lines.push(...series.lines(name, labels));
    return `${lines.join("\n")}\n`;
  }
}
