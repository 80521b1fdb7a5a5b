import { LRUCache } from "lru-cache";
import type { Listing } from "./listing.ts";
import type { Fingerprint } from "./names.ts";
import type { Span } from "./sequence.ts";

/** What is irregular about a log, counted. */
export interface Damage {
  /** Payloads under an index that has another one: a client id was in use twice. */
  readonly forks: number;
  /** Gaps in the operations of a client: what lies behind them is held back. */
  readonly holes: number;
  /** Objects whose names mean nothing to this version. */
  readonly foreign: number;
}

/** How many irregular logs are remembered, so as not to be told of again. */
const REMEMBERED = 10_000;

/** Looks at every listing that is loaded, and tells of damage when it shows or changes: what it is
 * in all, and what of it is new. */
export class DamageWatch {
  readonly #known = new LRUCache<Fingerprint, Damage>({ max: REMEMBERED });
  readonly #inside = new LRUCache<string, true>({ max: REMEMBERED });
  readonly #tell: (user: Fingerprint, damage: Damage, added: Damage) => void;

  constructor(tell: (user: Fingerprint, damage: Damage, added: Damage) => void) {
    this.#tell = tell;
  }

  readonly look = (user: Fingerprint, { clients, foreign }: Listing): void => {
    const damage = { forks: 0, holes: 0, foreign };
    for (const sequence of clients.values()) {
      damage.holes += sequence.holes.length;
      for (const { first, last, runs } of sequence.overlaps()) {
        // Where a segment is among them, they may as well hold the same operations.
        if (first === last) damage.forks += runs.length - 1;
      }
    }
    this.#tellOf(user, damage);
  };

  /** Takes note of forks that only a look into segments has shown. They are told of once. */
  readonly lookInside = (
    user: Fingerprint,
    client: string,
    { first }: Span,
    forks: number,
  ): void => {
    const place = `${user}.${client}.${first}`;
    if (this.#inside.has(place)) return;
    this.#inside.set(place, true);
    const damage = { forks, holes: 0, foreign: 0 };
    this.#tell(user, damage, damage);
  };

  #tellOf(user: Fingerprint, damage: Damage): void {
    const { forks, holes, foreign } = damage;
    if (forks + holes + foreign === 0) {
      this.#known.delete(user);
      return;
    }
    const known = this.#known.get(user);
    this.#known.set(user, damage);
    const same = known?.forks === forks && known.holes === holes && known.foreign === foreign;
    if (same) return;
    this.#tell(user, damage, {
      forks: Math.max(0, forks - (known?.forks ?? 0)),
      holes: Math.max(0, holes - (known?.holes ?? 0)),
      foreign: Math.max(0, foreign - (known?.foreign ?? 0)),
    });
  }
}
