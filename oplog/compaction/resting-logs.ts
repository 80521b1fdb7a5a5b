import { lruOf } from "../../storage/lru.ts";
import type { Fingerprint } from "../names.ts";

export interface RestingLogsOptions {
  /** How long a log rests, in milliseconds. */
  readonly backoff: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

interface Rest {
  readonly until: number;
  /** How often in a row it has failed. 0: it seemed worth compacting, and is not (forks). */
  readonly failures: number;
}

/** How many users are remembered. */
const REMEMBERED = 10_000;

/** Logs that compaction leaves alone for a while. */
export class RestingLogs {
  readonly #options: RestingLogsOptions;
  readonly #rests = lruOf<Fingerprint, Rest>(REMEMBERED);

  constructor(options: RestingLogsOptions) {
    this.#options = options;
  }

  /** @param failures how often in a row compacting it has failed */
  add(user: Fingerprint, failures: number): void {
    this.#rests.set(user, { until: this.#options.now() + this.#options.backoff, failures });
  }

  delete(user: Fingerprint): void {
    this.#rests.delete(user);
  }

  has(user: Fingerprint): boolean {
    return this.#current(user) !== undefined;
  }

  /** Whether it rests because compacting it has failed. */
  hasFailed(user: Fingerprint): boolean {
    return (this.#current(user)?.failures ?? 0) > 0;
  }

  /** How many rest because compacting them has failed. */
  get failing(): number {
    const now = this.#options.now();
    let count = 0;
    for (const { until, failures } of this.#rests.values()) {
      if (failures > 0 && until > now) count++;
    }
    return count;
  }

  /** How often in a row compacting it has failed, also if it rests no more. */
  failuresOf(user: Fingerprint): number {
    return this.#rests.get(user)?.failures ?? 0;
  }

  #current(user: Fingerprint): Rest | undefined {
    const rest = this.#rests.get(user);
    return rest !== undefined && rest.until > this.#options.now() ? rest : undefined;
  }
}
