import type { ClientChange, Created, Entry } from "../types.ts";

/** Which of the entries that come were appended by this app, and are not to come to it again. */
export class Echo {
  readonly #expected = new Map<string, Created>();
  readonly #changes: ClientChange[] = [];
  /** The appends under way: an entry can come before the app knows its place. */
  #appending: Promise<unknown> = Promise.resolve();

  /** Appends, and remembers what was appended. */
  async append(work: () => Promise<readonly Created[]>): Promise<void> {
    const appending = work().then((places) => {
      for (const place of places) this.#expect(this.#changes.reduce(moved, place));
    });
    // One that fails at once does not end the wait for those before it.
    const before = this.#appending;
    this.#appending = appending.then(
      () => before,
      () => before,
    );
    await appending;
  }

  /** The entries that were not appended by this app. Each call is to have what was not in one before. */
  async without(entries: readonly Entry[]): Promise<readonly Entry[]> {
    await this.#appending;
    if (this.#expected.size === 0) return entries;
    return entries.filter((entry) => !this.#expected.delete(keyOf(entry)));
  }

  /** Entries have other names from now on. */
  change(change: ClientChange): void {
    const expected = [...this.#expected.values()];
    this.#changes.push(change);
    this.#expected.clear();
    for (const place of expected) this.#expect(moved(place, change));
  }

  #expect(place: Created): void {
    this.#expected.set(keyOf(place), place);
  }
}

function moved(place: Created, { from, to, first }: ClientChange): Created {
  const isMoved = place.client === from && place.index >= first;
  return isMoved ? { ...place, client: to, index: place.index - first } : place;
}

function keyOf({ client, index, position }: Created): string {
  return `${client} ${index} ${position}`;
}
