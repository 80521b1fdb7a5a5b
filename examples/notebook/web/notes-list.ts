/** The list of notes on the page, newest first. */
import { compareNotes, type Note } from "../notes.ts";
import { create, find, setText } from "./dom.ts";

interface Entry {
  readonly note: Note;
  readonly item: HTMLLIElement;
}

export class NotesList {
  readonly #list = find("notes", HTMLUListElement);
  readonly #empty = find("none", HTMLElement);
  readonly #news = find("news", HTMLElement);
  /** Newest first, as on the page. */
  #entries: Entry[] = [];
  /** The notes of this tab, in the order of their creation. */
  #own: Entry[] = [];
  #pending = 0;

  /** Adds notes written in this tab. */
  addOwn(notes: readonly Note[]): void {
    for (const note of notes) {
      const entry = this.#add(note, "written here");
      if (entry !== undefined) this.#own.push(entry);
    }
    this.#markPending();
  }

  /**
   * Adds notes of other devices.
   *
   * @param announce whether they are new, to highlight them and have a screen reader announce them
   */
  addOthers(notes: readonly Note[], announce: boolean): void {
    for (const note of notes) {
      const entry = this.#add(note, `from device ${note.client.slice(0, 8)}`);
      if (announce) entry?.item.setAttribute("data-new", "");
    }
    const [first, ...more] = notes;
    if (!announce || first === undefined) return;
    const text = more.length === 0 ? `New note: ${first.text}` : `${notes.length} new notes`;
    setText(this.#news, text);
  }

  /** Marks the newest of this tab's notes, as many as are not sent yet. */
  setPending(count: number): void {
    this.#pending = count;
    this.#markPending();
  }

  /** Removes the notes of this tab, to be added again. */
  clearOwn(): void {
    for (const { item } of this.#own) item.remove();
    const own = new Set(this.#own);
    this.#entries = this.#entries.filter((entry) => !own.has(entry));
    this.#own = [];
  }

  /** Gives `undefined` if the note is in the list already. */
  #add(note: Note, origin: string): Entry | undefined {
    let at = this.#entries.findIndex((other) => compareNotes(other.note, note) <= 0);
    const found = this.#entries[at];
    if (found !== undefined && compareNotes(found.note, note) === 0) return undefined;
    if (at === -1) at = this.#entries.length;
    const item = document.createElement("li");
    const small = create("small");
    if (note.at > 0) {
      const time = document.createElement("time");
      const date = new Date(note.at);
      time.dateTime = date.toISOString();
      time.textContent = date.toLocaleString(undefined, {
        dateStyle: "medium",
        timeStyle: "short",
      });
      small.append(time, ", ");
    }
    small.append(create("span", origin), create("span"));
    item.append(create("p", note.text), small);
    this.#list.insertBefore(item, this.#entries[at]?.item ?? null);
    const entry = { note, item };
    this.#entries.splice(at, 0, entry);
    this.#empty.hidden = true;
    return entry;
  }

  #markPending(): void {
    const sent = this.#own.length - this.#pending;
    for (const [i, { item }] of this.#own.entries()) {
      const isPending = i >= sent;
      if (item.hasAttribute("data-pending") === isPending) continue;
      item.toggleAttribute("data-pending", isPending);
      const mark = item.querySelector("small > span:last-child");
      if (mark instanceof HTMLElement) setText(mark, isPending ? ", not sent yet" : "");
    }
  }
}
