/**
 * How long a listing may be used, so that nothing another process stores is missed for long.
 *
 * A list is not taken at one instant. What this process changes meanwhile is applied to the listing:
 * of that, nothing is missed. What another process stores right after the list has begun may be
 * missing. So the age of a listing counts from its beginning, and a request that uses one younger than
 * `LISTING_TTL` shows all that others had stored `LISTING_TTL` before it came.
 *
 * By that rule alone, a listing that took as long as `LISTING_TTL` would be too old at its end:
 * storage would be listed without a pause, and every request would wait. Those who wait get what
 * others have stored no sooner: it is in the list that begins after it, so a list and a half later on
 * average. So a listing that took more than half of `LISTING_TTL` is used for as long again as it
 * took, and at most for `LISTING_TTL`, from its end. All that others had stored `LISTING_TTL` and one
 * list before a request came is shown.
 */

/**
 * How long a listing may be used that announcements keep up to date, in milliseconds: nobody announces what
 * an operator changes in storage.
 */
export const KEPT_UP_MS = 24 * 3_600_000;

/** When a load began, by two clocks in milliseconds, and how long it took: 0 while it is running. */
export interface LoadTimes {
  readonly at: number;
  readonly time: number;
  readonly took: number;
}

export interface ListingAgesOptions {
  /** `LISTING_TTL` in milliseconds. */
  readonly ttl: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Milliseconds of Unix time, which also passes while the machine sleeps. Absent in tests. */
  readonly time?: () => number;
}

/** Says which listings may still be used, and when to read the next one. */
export class ListingAges {
  readonly #ttl: number;
  readonly #now: () => number;
  readonly #time: () => number;

  constructor({ ttl, now, time = now }: ListingAgesOptions) {
    this.#ttl = ttl;
    this.#now = now;
    this.#time = time;
  }

  /** The times of a load that begins now. */
  begin(): LoadTimes {
    return { at: this.#now(), time: this.#time(), took: 0 };
  }

  /** The times of a load that ends now. */
  end({ at, time }: LoadTimes): LoadTimes {
    return { at, time, took: this.#now() - at };
  }

  /**
   * Whether the listing of a load may be used: not if it is old. Where it is due, the next one is to be
   * read while this one is still used: early enough that nobody waits for it, but not before half the
   * time has passed from the end of this one to the end of its use.
   *
   * @param ttl how long it may be used; `LISTING_TTL` by default
   */
  stateOf(load: LoadTimes, ttl = this.#ttl): "recent" | "due" | "old" {
    const age = this.#ageOf(load);
    const life = lifeOf(load, ttl);
    if (age >= life) return "old";
    return age >= life - Math.min(load.took, (life - load.took) / 2) ? "due" : "recent";
  }

  /** Whether the listing of a load may be used. */
  isRecent(load: LoadTimes): boolean {
    return this.stateOf(load) !== "old";
  }

  /**
   * How long ago a load began: the greater of two clocks, because one stands still while the machine
   * sleeps, and the other can be set back.
   */
  #ageOf({ at, time }: LoadTimes): number {
    return Math.max(this.#now() - at, this.#time() - time);
  }
}

/** How long after its beginning a listing may be used. */
function lifeOf({ took }: LoadTimes, ttl: number): number {
  return Math.max(ttl, took + Math.min(took, ttl));
}
