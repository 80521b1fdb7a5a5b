/** Any number of notes in the order of their time, each once. */
import { compareNotes, type Note } from "./notes.ts";

export class SortedNotes {
  /** Oldest first. */
  #notes: Note[] = [];
  readonly #known = new Set<string>();

  get length(): number {
    return this.#notes.length;
  }

  /** Adds notes. Returns those that were not there, oldest first. */
  add(notes: readonly Note[]): Note[] {
    const added = notes.filter((note) => this.#isUnknown(note)).sort(compareNotes);
    let from = this.#notes.length - 1;
    let next = added.length - 1;
    // From the end, because most notes are newer than those that are there: no other one moves.
    for (let to = from + added.length; next >= 0; to--) {
      const [last, candidate] = [this.#notes[from], added[next]];
      if (candidate === undefined) break;
      if (last !== undefined && compareNotes(last, candidate) > 0) {
        this.#notes[to] = last;
        from--;
      } else {
        this.#notes[to] = candidate;
        next--;
      }
    }
    return added;
  }

  remove(notes: ReadonlySet<Note>): void {
    for (const note of notes) this.#known.delete(idOf(note));
    this.#notes = this.#notes.filter((note) => !notes.has(note));
  }

  /** The newest notes, newest first. */
  newest(count: number): Note[] {
    return this.#notes.slice(Math.max(0, this.#notes.length - count)).reverse();
  }

  #isUnknown(note: Note): boolean {
    const id = idOf(note);
    if (this.#known.has(id)) return false;
    this.#known.add(id);
    return true;
  }
}

function idOf({ client, index, position }: Note): string {
  return `${client} ${index} ${position}`;
}
