import { lruOf } from "../storage/lru.ts";
import type { Listing } from "./listing.ts";
import type { Fingerprint } from "./names.ts";
import type { Span } from "./sequence.ts";
import type { Telemetry } from "./telemetry.ts";

/** What is irregular about a log, counted. */
export interface Anomalies {
  /** Further payloads under an index that has one: two devices use one client id. */
  readonly forks: number;
  /** Gaps in the operations of a client: the operations after them are held back. */
  readonly holes: number;
  /** Objects with names that this version does not know. */
  readonly unrecognized: number;
}

export interface AnomalyMonitorOptions {
  /** Called with all anomalies of a log when some appear, or when their numbers change. */
  readonly onFound: (user: Fingerprint, anomalies: Anomalies) => void;
  readonly telemetry: Telemetry;
}

/** How many irregular logs are remembered, so that each is reported once. */
const REMEMBERED = 10_000;

/**
 * Inspects every listing that is loaded. Reports the anomalies of a log when they first appear and
 * when they change, and counts those that are new.
 */
export class AnomalyMonitor {
  readonly #known = lruOf<Fingerprint, Anomalies>(REMEMBERED);
  readonly #inside = lruOf<string, true>(REMEMBERED);
  readonly #onFound: (user: Fingerprint, anomalies: Anomalies) => void;
  readonly #telemetry: Telemetry;

  constructor({ onFound, telemetry }: AnomalyMonitorOptions) {
    this.#onFound = onFound;
    this.#telemetry = telemetry;
  }

  /** Inspects a listing; a `LoadListener`. */
  readonly inspect = (user: Fingerprint, { clients, unrecognized }: Listing): void => {
    const anomalies = { forks: 0, holes: 0, unrecognized };
    for (const sequence of clients.values()) {
      anomalies.holes += sequence.holes.length;
      for (const { first, last, runs } of sequence.overlaps()) {
        // Where a segment is among them, the runs may hold the same operations.
        if (first === last) anomalies.forks += runs.length - 1;
      }
    }
    this.#reportChange(user, anomalies);
  };

  /** Reports forks that only the contents of segments have shown, once. */
  readonly reportForks = (
    user: Fingerprint,
    client: string,
    { first }: Span,
    forks: number,
  ): void => {
    const place = `${user}.${client}.${first}`;
    if (this.#inside.has(place)) return;
    this.#inside.set(place, true);
    const anomalies = { forks, holes: 0, unrecognized: 0 };
    this.#report(user, anomalies, anomalies);
  };

  #reportChange(user: Fingerprint, anomalies: Anomalies): void {
    const { forks, holes, unrecognized } = anomalies;
    if (forks + holes + unrecognized === 0) {
      this.#known.delete(user);
      return;
    }
    const known = this.#known.get(user);
    this.#known.set(user, anomalies);
    const same =
      known?.forks === forks && known.holes === holes && known.unrecognized === unrecognized;
    if (same) return;
    this.#report(user, anomalies, {
      forks: Math.max(0, forks - (known?.forks ?? 0)),
      holes: Math.max(0, holes - (known?.holes ?? 0)),
      unrecognized: Math.max(0, unrecognized - (known?.unrecognized ?? 0)),
    });
  }

  #report(user: Fingerprint, anomalies: Anomalies, added: Anomalies): void {
    this.#telemetry.count("log_damage", "fork", added.forks);
    this.#telemetry.count("log_damage", "hole", added.holes);
    this.#telemetry.count("log_damage", "foreign", added.unrecognized);
    this.#onFound(user, anomalies);
  }
}
