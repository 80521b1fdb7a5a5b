import { Histogram, type Observations } from "./histogram.ts";

/** Upper bounds of the buckets, in seconds. */
const BOUNDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5];
/** An answer may take as long as its reader does. */
const ANSWER_BOUNDS = [...BOUNDS, 30, 120, 600];

/** The durations of one route and status. */
export interface RouteDurations {
  readonly head: Observations;
  readonly end: Observations;
}

/** How long requests take, by route and status: to the head of the response, and to its end. */
export class RequestDurations {
  readonly #heads = new Histogram({
    name: "sync_request_seconds",
    help: "Time from a request's arrival to the head of its response.",
    bounds: BOUNDS,
  });
  readonly #ends = new Histogram({
    name: "sync_answer_seconds",
    help: "Time from a request's arrival to the end of its response: all of it handed to the connection, or cut.",
    bounds: ANSWER_BOUNDS,
  });
  readonly #routes = new Map<string, Map<number, RouteDurations>>();

  of(route: string, status: number): RouteDurations {
    let statuses = this.#routes.get(route);
    if (statuses === undefined) {
      statuses = new Map();
      this.#routes.set(route, statuses);
    }
    let durations = statuses.get(status);
    if (durations === undefined) {
      const labels = `route="${route}",status="${status}"`;
      durations = { head: this.#heads.of(labels), end: this.#ends.of(labels) };
      statuses.set(status, durations);
    }
    return durations;
  }

  /** All series, with a line feed at the end. */
  text(): string {
    return this.#heads.text() + this.#ends.text();
  }
}
