export interface ReadAheadOptions<Item, Result> {
  /** Reads one item. */
  readonly read: (item: Item) => Promise<Result>;
  /** What an item will take in memory, in bytes. */
  readonly bytes: (item: Item) => number;
  /** How many reads are under way or done and not taken yet. */
  readonly maxItems: number;
  /** How many bytes they may come to; a larger item is read alone. */
  readonly maxBytes: number;
  /** Asked for the bytes as well, where several readers share the memory. */
  readonly budget?: Budget | undefined;
}

/** Memory that readers share, in bytes. */
export interface Budget {
  /** Takes bytes, or is false when there is no room for them. */
  tryHold(bytes: number): boolean;
  /** Takes bytes as soon as there is room for them. */
  hold(bytes: number): Promise<void>;
  /** Gives bytes back. */
  release(bytes: number): void;
}

type Outcome<Result> = { readonly value: Result } | { readonly error: unknown };

/**
 * Reads items side by side within a bound, and yields the results in the order of the items. When
 * the caller stops taking them, no further read begins.
 */
export async function* readAhead<Item, Result>(
  items: Iterator<Item>,
  { read, bytes, maxItems, maxBytes, budget }: ReadAheadOptions<Item, Result>,
): AsyncGenerator<Result, void, void> {
  const queue: { outcome: Promise<Outcome<Result>>; size: number }[] = [];
  let ahead = 0;
  /** What is ahead and what the caller is at. */
  let held = 0;
  let next = items.next();
  // The first result goes out before others are read, which would hold it up; then more and more.
  let atOnce = 1;
  try {
    for (;;) {
      while (!next.done && queue.length < atOnce) {
        const size = bytes(next.value);
        if (queue.length === 0) await budget?.hold(size);
        else if (ahead + size > maxBytes || budget?.tryHold(size) === false) break;
        held += size;
        // An outcome, not a bare promise: a read that fails after the caller has left is nobody's.
        const outcome = read(next.value).then(
          (value) => ({ value }),
          (error: unknown) => ({ error }),
        );
        queue.push({ outcome, size });
        ahead += size;
        next = items.next();
      }
      const head = queue.shift();
      if (head === undefined) return;
      const outcome = await head.outcome;
      ahead -= head.size;
      if ("error" in outcome) throw outcome.error;
      yield outcome.value;
      atOnce = Math.min(maxItems, atOnce * 2);
      held -= head.size;
      budget?.release(head.size);
    }
  } finally {
    budget?.release(held);
  }
}
