/**
 * Which servers take part in a cluster, and whether all of them have been heard from lately.
 *
 * A server that cannot announce what it stores is silent as well. Until the others notice, they rely on
 * versions that do not show what it has stored, so they have to notice within `LISTING_TTL`: each server
 * sends a sign of life every tenth of it, and one is missing after three tenths. A server that looks for
 * others this often relies on what it has seen for three tenths at most, so the two come to six tenths.
 */

/** How a server was last seen. */
export type Sighting =
  | {
      readonly id: string;
      /** How many milliseconds ago, by the clock of the cluster, which may be set back. */
      readonly age: number;
      /** Another one with each sign of life. */
      readonly sign: string;
    }
  | { readonly left: string };

/** A server that is expected. */
export interface Member {
  readonly id: string;
  /** How many milliseconds ago it was last seen. */
  readonly age: number;
}

export interface MembersOptions {
  /** This server. */
  readonly id: string;
  /** `LISTING_TTL` in milliseconds. */
  readonly ttl: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** How long a silent server is expected, in milliseconds. Meanwhile listings go by their age. */
export const EXPECTED_FOR_MS = 24 * 3_600_000;

/** Signs of life are at least this frequent, whatever `LISTING_TTL` is. */
const LONGEST_PERIOD_MS = 3000;

const SIGNS_MISSED = 3;

/** What one server knows of the others. */
export class Members {
  /** How often to give a sign of life, in milliseconds. */
  readonly period: number;
  readonly #options: MembersOptions;
  /** When each other server was last heard from, and its last sign of life. */
  readonly #seen = new Map<string, { readonly at: number; readonly sign: string }>();
  #lookedAt: number | undefined;

  constructor(options: MembersOptions) {
    this.#options = options;
    // With a TTL of 0 nothing is cached, so nothing depends on it.
    const tenth = options.ttl === 0 ? LONGEST_PERIOD_MS : options.ttl / 10;
    this.period = Math.min(LONGEST_PERIOD_MS, tenth);
  }

  /**
   * To be called with all sightings, where this server has given a sign of life with the same request.
   *
   * @param at when the request was sent
   */
  looked(at: number, sightings: readonly Sighting[]): void {
    const now = this.#options.now();
    for (const sighting of sightings) {
      if ("left" in sighting) this.#seen.delete(sighting.left);
      else if (sighting.id !== this.#options.id) {
        const { id, age, sign } = sighting;
        const before = this.#seen.get(id);
        if (before?.sign === sign) continue;
        // By when the request was sent: the reply may have waited for a process that was paused.
        this.#seen.set(id, {
          at: Math.max(before?.at ?? Number.NEGATIVE_INFINITY, at - age),
          sign,
        });
      }
    }
    for (const [id, seen] of this.#seen) if (now - seen.at > EXPECTED_FOR_MS) this.#seen.delete(id);
    this.#lookedAt = at;
  }

  /** The other servers that are expected. */
  get others(): Member[] {
    const now = this.#options.now();
    return [...this.#seen].map(([id, { at }]) => ({ id, age: now - at }));
  }

  /** How many other servers are expected and were not heard from lately. */
  get missing(): number {
    const since = this.#options.now() - SIGNS_MISSED * this.period;
    let missing = 0;
    for (const { at } of this.#seen.values()) if (at < since) missing++;
    return missing;
  }

  /** Whether all servers have been heard from lately, by this one as well. */
  get isComplete(): boolean {
    if (this.#lookedAt === undefined) return false;
    const isRecent = this.#options.now() - this.#lookedAt <= SIGNS_MISSED * this.period;
    return isRecent && this.missing === 0;
  }

  /** Whether this server has been silent for so long that the others no longer expect it. */
  get isForgotten(): boolean {
    if (this.#lookedAt === undefined) return true;
    return this.#options.now() - this.#lookedAt > EXPECTED_FOR_MS / 2;
  }
}
