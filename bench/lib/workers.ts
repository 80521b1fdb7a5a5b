/** Works through items with a bounded number of workers, each of which takes the next one. */
export async function inParallel<Item>(
  workers: number,
  items: Iterable<Item>,
  work: (item: Item, worker: number) => Promise<void>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const run = async (_: unknown, worker: number) => {
    for (let next = iterator.next(); !next.done; next = iterator.next()) {
      await work(next.value, worker);
    }
  };
  await Promise.all(Array.from({ length: workers }, run));
}
