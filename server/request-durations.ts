/** A histogram in the text format of Prometheus. */

const NAME = "sync_request_seconds";
const HELP = "Time from a request's arrival to the head of its response.";

/** Upper bounds of the buckets, in seconds. */
const BOUNDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];

/** The durations of one route and status. */
interface Series {
  /** How many fell into each bucket; those beyond the last bound are in none. */
  readonly buckets: number[];
  count: number;
  sum: number;
}

/**
 * The durations of requests, by route and status. Not a histogram of prom-client: that one hashes
 * the labels of each observation, which takes 8 % of a poll.
 */
export class RequestDurations {
  readonly #routes = new Map<string, Map<number, Series>>();

  observe(route: string, status: number, seconds: number): void {
    let statuses = this.#routes.get(route);
    if (statuses === undefined) {
      statuses = new Map();
      this.#routes.set(route, statuses);
    }
    let series = statuses.get(status);
    if (series === undefined) {
      series = { buckets: BOUNDS.map(() => 0), count: 0, sum: 0 };
      statuses.set(status, series);
    }
    series.count++;
    series.sum += seconds;
    const bucket = BOUNDS.findIndex((bound) => seconds <= bound);
    if (bucket !== -1) series.buckets[bucket] = (series.buckets[bucket] ?? 0) + 1;
  }

  /** All series, with a line feed at the end. */
  text(): string {
    const lines = [`# HELP ${NAME} ${HELP}`, `# TYPE ${NAME} histogram`];
    for (const [route, statuses] of this.#routes) {
      for (const [status, { buckets, count, sum }] of statuses) {
        const labels = `route="${route}",status="${status}"`;
        let atMost = 0;
        for (const [i, bound] of BOUNDS.entries()) {
          atMost += buckets[i] ?? 0;
          lines.push(`${NAME}_bucket{le="${bound}",${labels}} ${atMost}`);
        }
        lines.push(
          `${NAME}_bucket{le="+Inf",${labels}} ${count}`,
          `${NAME}_sum{${labels}} ${sum}`,
          `${NAME}_count{${labels}} ${count}`,
        );
      }
    }
    return `${lines.join("\n")}\n`;
  }
}
