/** What queries of Prometheus name, and whether a scrape has it. */

/** A metric in a query, and what its labels have to be. */
export interface Selector {
  readonly metric: string;
  readonly matchers: readonly {
    readonly label: string;
    readonly operator: string;
    readonly value: string;
  }[];
}

/** Prometheus gives each target these labels, and `up`. */
const TARGET_LABELS = new Set(["instance", "job"]);
const OF_PROMETHEUS = new Set(["up"]);

const WORDS = new Set([
  ...["sum", "min", "max", "count", "by", "rate", "increase", "predict_linear"],
  ...["histogram_quantile", "or", "and", "unless"],
]);

const BY = /\bby\s*\(([^)]*)\)/g;

/** The metrics that a query asks for. Throws for a word that is neither a metric nor of the language. */
export function selectorsOf(query: string): Selector[] {
  const text = query.replace(BY, "").replace(/\[[^\]]*\]/g, "");
  return [...text.matchAll(/([a-z_][a-z0-9_]*)(?:\{([^}]*)\})?/gi)].flatMap(
    ([, metric = "", inner = ""]) => {
      if (WORDS.has(metric)) return [];
      if (!/^(?:sync|process|nodejs)_|^up$/.test(metric)) {
        throw new Error(`${metric} is neither a metric nor a word of the queries here: ${query}`);
      }
      const matchers = [...inner.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(
        ([, label = "", operator = "", value = ""]) => ({ label, operator, value }),
      );
      return [{ metric, matchers }];
    },
  );
}

/** The samples of a scrape: the labels of each, by the name of their metric. */
export type Samples = ReadonlyMap<string, readonly Readonly<Record<string, string>>[]>;

export function samplesOf(scrape: string): Samples {
  const samples = new Map<string, Record<string, string>[]>();
  for (const line of scrape.split("\n")) {
    const [, name = "", inner = ""] = /^([a-z_][a-z0-9_]*)(?:\{(.*)\})? \S+$/i.exec(line) ?? [];
    if (name === "") continue;
    const pairs = [...inner.matchAll(/(\w+)="([^"]*)"/g)].map(([, label, value]) => [label, value]);
    const known = samples.get(name) ?? [];
    samples.set(name, [...known, Object.fromEntries(pairs)]);
  }
  return samples;
}

/** What a query asks for and no sample has; empty where each of its metrics and labels is there. */
export function missingIn(samples: Samples, query: string): string[] {
  const selectors = selectorsOf(query).filter(({ metric }) => !OF_PROMETHEUS.has(metric));
  const missing: string[] = [];
  const labels = new Set(TARGET_LABELS);
  for (const { metric, matchers } of selectors) {
    const own = matchers.filter(({ label }) => !TARGET_LABELS.has(label));
    const found = (samples.get(metric) ?? []).filter((sample) =>
      own.every(({ label, operator, value }) => {
        const is = sample[label];
        if (is === undefined) return false;
        const same = operator.endsWith("~") ? new RegExp(`^(?:${value})$`).test(is) : is === value;
        return same !== operator.startsWith("!");
      }),
    );
    if (found.length === 0) missing.push(`${metric} ${JSON.stringify(own)}`);
    for (const label of found.flatMap((sample) => Object.keys(sample))) labels.add(label);
  }
  const grouped = [...query.matchAll(BY)].flatMap(([, list = ""]) => list.split(","));
  for (const label of grouped.map((label) => label.trim())) {
    if (!labels.has(label)) missing.push(`the label ${label}`);
  }
  return missing;
}
