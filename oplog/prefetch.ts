export interface PrefetchOptions<Item, Result> {
  /** Reads one item. */
  readonly read: (item: Item) => Promise<Result>;
  /** The memory that an item will take, in bytes. */
  readonly bytes: (item: Item) => number;
  /** How many reads may be under way, or done and not taken yet. */
  readonly maxItems: number;
  /** How many bytes these and the item in use by the caller may take; a larger item is read alone. */
  readonly maxBytes: number;
  /** Memory shared with other readers, from which each item takes its bytes. */
  readonly budget?: MemoryBudget | undefined;
}

/** The shared memory has no room for a reader to begin. */
export class BudgetExhausted extends Error {
  override name = "BudgetExhausted";
  readonly code = "overloaded";
}

/** Memory that readers share, in bytes. */
export interface MemoryBudget {
  /** Reserves bytes; false when there is no room for them. */
  tryReserve(bytes: number): boolean;
  /** Reserves bytes as soon as there is room. Throws `BudgetExhausted` when that takes too long. */
  reserve(bytes: number): Promise<void>;
  /** Gives bytes back. */
  free(bytes: number): void;
}

type Settled<Result> = { readonly value: Result } | { readonly error: unknown };

/**
 * Reads items ahead of the caller, several at once, and yields the results in the order of the
 * items. When the caller stops taking them, no further read begins. Throws the error of a read in
 * its place, and `BudgetExhausted` when the budget has no room for the first item.
 */
export async function* prefetch<Item, Result>(
  items: Iterator<Item>,
  { read, bytes, maxItems, maxBytes, budget }: PrefetchOptions<Item, Result>,
): AsyncGenerator<Result, void, void> {
  const queue: { outcome: Promise<Settled<Result>>; size: number }[] = [];
  /** Bytes of the items in the queue, and of the one that the caller is using. */
  let held = 0;
  let next = items.next();
  let begun = false;
  // The first item is read alone, so that nothing delays it; then the number doubles.
  let atOnce = 1;
  const begin = (item: Item, size: number) => {
    begun = true;
    held += size;
    // The outcome as a value: a read that fails after the caller has stopped must not be unhandled.
    const outcome = read(item).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    );
    queue.push({ outcome, size });
    next = items.next();
  };
  const beginMore = () => {
    while (!next.done && queue.length < atOnce) {
      const size = bytes(next.value);
      if (held + size > maxBytes || budget?.tryReserve(size) === false) return;
      begin(next.value, size);
    }
  };
  try {
    for (;;) {
      if (!next.done && queue.length === 0) {
        const size = bytes(next.value);
        // A reader that holds memory waits for more. One that holds none fails at once: any number
        // of readers could be waiting to begin.
        if (begun) await budget?.reserve(size);
        else if (budget?.tryReserve(size) === false)
          throw new BudgetExhausted("no memory to read in");
        begin(next.value, size);
      }
      beginMore();
      const head = queue.shift();
      if (head === undefined) return;
      const outcome = await head.outcome;
      if ("error" in outcome) throw outcome.error;
      // Further items are read while the caller uses this one.
      if (atOnce > 1) beginMore();
      yield outcome.value;
      atOnce = Math.min(maxItems, atOnce * 2);
      held -= head.size;
      budget?.free(head.size);
    }
  } finally {
    budget?.free(held);
  }
}
