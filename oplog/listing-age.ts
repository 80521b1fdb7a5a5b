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

/** How long after its beginning a listing may be used. In milliseconds, as all here. */
export function lifeOf(took: number, ttl: number): number {
  return Math.max(ttl, took + Math.min(took, ttl));
}

/**
 * At which age the next one is read, while this one is still used: early enough that nobody waits for
 * it, but not before half the time has passed from the end of this one to the end of its use.
 */
export function renewalAge(took: number, ttl: number): number {
  const life = lifeOf(took, ttl);
  return life - Math.min(took, (life - took) / 2);
}
