/** The notes on the page, the newest first. */
import { compareNotes, type Note } from "../notes.ts";
import { find, make, say } from "./dom.ts";

interface Shown {
  readonly note: Note;
  readonly item: HTMLLIElement;
}

export class NotesList {
  readonly #list = find("notes", HTMLUListElement);
  readonly #none = find("none", HTMLElement);
  readonly #news = find("news", HTMLElement);
  /** The newest first, as on the page. */
  #shown: Shown[] = [];
  /** Those of this window, in the order of their creation. */
  #own: Shown[] = [];
  #waiting = 0;

  /** Notes that were written in this window. */
  addOwn(notes: readonly Note[]): void {
    for (const note of notes) {
      const shown = this.#add(note, "written here");
      if (shown !== undefined) this.#own.push(shown);
    }
    this.#mark();
  }

  /** Notes of other devices. `announce` has a screen reader say so. */
  addOthers(notes: readonly Note[], announce: boolean): void {
    for (const note of notes) {
      const shown = this.#add(note, `from device ${note.client.slice(0, 8)}`);
      if (announce) shown?.item.setAttribute("data-new", "");
    }
    const [first, ...more] = notes;
    if (!announce || first === undefined) return;
    say(this.#news, more.length === 0 ? `New note: ${first.text}` : `${notes.length} new notes`);
  }

  /** Marks the newest of this window's notes as waiting to be sent. */
  wait(count: number): void {
    this.#waiting = count;
    this.#mark();
  }

  /** Takes the notes of this window away, to be added anew. */
  clearOwn(): void {
    for (const { item } of this.#own) item.remove();
    const own = new Set(this.#own);
    this.#shown = this.#shown.filter((shown) => !own.has(shown));
    this.#own = [];
  }

  #add(note: Note, from: string): Shown | undefined {
    let at = this.#shown.findIndex((other) => compareNotes(other.note, note) <= 0);
    const found = this.#shown[at];
    if (found !== undefined && compareNotes(found.note, note) === 0) return undefined;
    if (at === -1) at = this.#shown.length;
    const item = document.createElement("li");
    const small = make("small");
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
    small.append(make("span", from), make("span"));
    item.append(make("p", note.text), small);
    this.#list.insertBefore(item, this.#shown[at]?.item ?? null);
    const shown = { note, item };
    this.#shown.splice(at, 0, shown);
    this.#none.hidden = true;
    return shown;
  }

  #mark(): void {
    const sent = this.#own.length - this.#waiting;
    for (const [i, { item }] of this.#own.entries()) {
      const waits = i >= sent;
      if (item.hasAttribute("data-waiting") === waits) continue;
      item.toggleAttribute("data-waiting", waits);
      const told = item.querySelector("small > span:last-child");
      if (told instanceof HTMLElement) say(told, waits ? ", waits to be sent" : "");
    }
  }
}
