export interface PrefetchOptions<Item, Result> {
  /** Reads one item. */
  readonly read: (item: Item) => Promise<Result>;
  /** What an item will take in memory, in bytes. */
  readonly bytes: (item: Item) => number;
  /** How many reads are under way or done and not taken yet. */
  readonly maxItems: number;
  /** How many bytes they and what the caller is at may come to; a larger item is read alone. */
  readonly maxBytes: number;
  /** Asked for the bytes as well, where several readers share the memory. */
  readonly budget?: MemoryBudget | undefined;
}

/** There is no memory to read ahead in. */
export class BudgetExhausted extends Error {
  override name = "BudgetExhausted";
  readonly code = "overloaded";
}

/** Memory that readers share, in bytes. */
export interface MemoryBudget {
  /** Takes bytes, or is false when there is no room for them. */
  tryReserve(bytes: number): boolean;
  /** Takes bytes as soon as there is room for them. Throws `BudgetExhausted` when that takes too long. */
  reserve(bytes: number): Promise<void>;
  /** Gives bytes back. */
  free(bytes: number): void;
}

type Outcome<Result> = { readonly value: Result } | { readonly error: unknown };

/**
 * Reads items side by side within a bound, and yields the results in the order of the items. When
 * the caller stops taking them, no further read begins. Throws `BudgetExhausted` where the budget has none.
 */
export async function* prefetch<Item, Result>(
  items: Iterator<Item>,
  { read, bytes, maxItems, maxBytes, budget }: PrefetchOptions<Item, Result>,
): AsyncGenerator<Result, void, void> {
  const queue: { outcome: Promise<Outcome<Result>>; size: number }[] = [];
  /** What is ahead and what the caller is at. */
  let held = 0;
  let next = items.next();
  let begun = false;
  // The first result goes out before others are read, which would hold it up; then more and more.
  let atOnce = 1;
  const begin = (item: Item, size: number) => {
    begun = true;
    held += size;
    // An outcome, not a bare promise: a read that fails after the caller has left is nobody's.
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
        // Who has nothing yet does not wait among those who have: there may be any number of them.
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
      // They are read while the caller is at this one.
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
