/** Long work on the main thread, cut into slices: between them, other requests are answered. */
import { setImmediate, setTimeout } from "node:timers/promises";

/**
 * Deno looks at the network where it has nothing to do, and otherwise only in every 61st turn (tokio's
 * `event_interval`). After `setImmediate` it has; a timer leaves it idle for two milliseconds.
 */
const isDeno = process.versions.deno !== undefined;

/** How long other work waits for a slice. Several slices may stand between it and its answer. */
const SLICE_MS = isDeno ? 8 : 2;

/**
 * A look at the clock takes longer than many a piece of work: one for so many pieces. Fewer never wait,
 * so that nothing changes for a usual log.
 */
const PIECES = 256;

/** How many items are sorted at once: it takes about a millisecond. */
const SORTED_AT_ONCE = 2048;

/** Tells work of many small pieces when to let other work run. */
export class Slices {
  #since = performance.now();
  #pieces = 0;

  /**
   * To be called after each piece, or after several. Returns what to wait for before the next one, if
   * the slice is over.
   */
  next(pieces = 1): Promise<void> | undefined {
    this.#pieces += pieces;
    if (this.#pieces < PIECES) return undefined;
    this.#pieces = 0;
    return performance.now() - this.#since < SLICE_MS ? undefined : this.#begin();
  }

  async #begin(): Promise<void> {
    await (isDeno ? setTimeout(0) : setImmediate());
    this.#since = performance.now();
  }
}

/** The items that pass a test, in their order. */
export async function filterInSlices<Item>(
  items: readonly Item[],
  passes: (item: Item) => boolean,
): Promise<Item[]> {
  const slices = new Slices();
  const passed: Item[] = [];
  for (const item of items) {
    if (passes(item)) passed.push(item);
    const pause = slices.next();
    if (pause !== undefined) await pause;
  }
  return passed;
}

/** Sorts by merging sorted parts: it takes as long as the runtime's own sort of all of them. */
export async function sortInSlices<Item>(
  items: readonly Item[],
  isBefore: (a: Item, b: Item) => boolean,
): Promise<Item[]> {
  const slices = new Slices();
  const compare = (a: Item, b: Item) => (isBefore(a, b) ? -1 : 1);
  let parts: Item[][] = [];
  for (let at = 0; at < items.length; at += SORTED_AT_ONCE) {
    const part = items.slice(at, at + SORTED_AT_ONCE).sort(compare);
    parts.push(part);
    await slices.next(part.length);
  }
  while (parts.length > 1) {
    const merged: Item[][] = [];
    for (let i = 0; i < parts.length; i += 2) {
      merged.push(await merge(parts[i] ?? [], parts[i + 1] ?? [], isBefore, slices));
    }
    parts = merged;
  }
  return parts[0] ?? [];
}

/** What two sorted lists have, sorted. */
async function merge<Item>(
  left: readonly Item[],
  right: readonly Item[],
  isBefore: (a: Item, b: Item) => boolean,
  slices: Slices,
): Promise<Item[]> {
  const merged: Item[] = [];
  let [l, r] = [0, 0];
  for (;;) {
    const [a, b] = [left[l], right[r]];
    if (a === undefined) return merged.concat(right.slice(r));
    if (b === undefined) return merged.concat(left.slice(l));
    if (isBefore(b, a)) {
      merged.push(b);
      r++;
    } else {
      merged.push(a);
      l++;
    }
    const pause = slices.next();
    if (pause !== undefined) await pause;
  }
}
