/** Any number of names of notes in the order of their time, each once. */
import { compareNames } from "./note-names.ts";

export class SortedNotes {
  /** Oldest first. */
  readonly #names: string[] = [];
  readonly #known = new Set<string>();

  get length(): number {
    return this.#names.length;
  }

  /** Adds names. Returns those that were not there, oldest first. */
  add(names: readonly string[]): string[] {
    const added = names.filter((name) => this.#isUnknown(name)).sort(compareNames);
    let from = this.#names.length - 1;
    let next = added.length - 1;
    // From the end, because most notes are newer than those that are there: no other one moves.
    for (let to = from + added.length; next >= 0; to--) {
      const [last, candidate] = [this.#names[from], added[next]];
      if (candidate === undefined) break;
      if (last !== undefined && compareNames(last, candidate) > 0) {
        this.#names[to] = last;
        from--;
      } else {
        this.#names[to] = candidate;
        next--;
      }
    }
    return added;
  }

  oldestFirst(): IterableIterator<string> {
    return this.#names.values();
  }

  *newestFirst(): Generator<string, void, void> {
    for (let at = this.#names.length - 1; at >= 0; at--) {
      const name = this.#names[at];
      if (name !== undefined) yield name;
    }
  }

  #isUnknown(name: string): boolean {
    if (this.#known.has(name)) return false;
    this.#known.add(name);
    return true;
  }
}
