/** The list of notes on the page, newest first. Only those that may be on the screen are in it. */

import { compareNames } from "../note-names.ts";
import type { Notebook } from "../notebook.ts";
import type { Note } from "../notes.ts";
import { withStorage } from "./browser.ts";
import { beforeNextFrame, find, hideError, setText, showError } from "./dom.ts";
import type { Drafts } from "./drafts.ts";
import { beginningOf, type ItemContext, NoteItem } from "./note-item.ts";

/** How many notes the list has at first, and gets more when its end comes into sight. */
const STEP = 50;

export class NotesList {
  readonly #list = find("notes", HTMLUListElement);
  readonly #older = find("older", HTMLButtonElement);
  readonly #empty = find("none", HTMLElement);
  readonly #news = find("news", HTMLElement);
  readonly #search = find("search", HTMLInputElement);
  readonly #found = find("found", HTMLElement);
  readonly #deleted = find("deleted", HTMLElement);
  readonly #undo = find("undo", HTMLButtonElement);
  readonly #notebook: Notebook;
  readonly #context: ItemContext;
  /** Notes that came while the page was open. */
  readonly #new = new Set<string>();
  #items = new Map<string, NoteItem>();
  #limit = STEP;
  readonly #render = beforeNextFrame(() => this.#renderNow());

  constructor(notebook: Notebook, drafts: Drafts) {
    this.#notebook = notebook;
    this.#context = {
      notebook,
      drafts,
      delete: (note) => this.#delete(note),
      changed: () => this.#render(),
    };
    const showMore = () => {
      this.#limit += STEP;
      this.#render();
    };
    this.#older.addEventListener("click", showMore);
    new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting) showMore();
    }).observe(this.#older);
    this.#search.addEventListener("input", () => {
      this.#limit = STEP;
      this.#render();
    });
    this.#render();
  }

  /** Shows what has come or changed, or how it stands with the server. */
  refresh(): void {
    this.#render();
  }

  /** Highlights notes that are new, and has a screen reader announce them. */
  announce(names: readonly string[]): void {
    const notes = names.map((name) => this.#notebook.note(name)).filter((one) => !one.isDeleted);
    const [first, ...more] = notes;
    if (first === undefined) return;
    for (const { name } of notes) this.#new.add(name);
    setText(
      this.#news,
      more.length === 0 ? `New note: ${beginningOf(first.text)}` : `${notes.length} new notes`,
    );
    this.#render();
  }

  /** Shows what was typed into a note at an earlier time, or in another tab: `undefined` where it was saved. */
  showDraft(name: string, draft: string | undefined): void {
    if (draft !== undefined || this.#items.has(name)) {
      this.#item(this.#notebook.note(name)).showDraft(draft);
    }
  }

  async #delete(note: Note): Promise<void> {
    try {
      hideError();
      await withStorage(() => this.#notebook.delete(note.name));
      this.#deleted.hidden = false;
      this.#undo.onclick = () => void this.#restore(note);
      this.#undo.focus({ preventScroll: true });
    } catch (error) {
      showError(error);
    }
  }

  async #restore({ name }: Note): Promise<void> {
    this.#deleted.hidden = true;
    try {
      await withStorage(() => this.#notebook.restore(name));
    } catch (error) {
      showError(error);
    }
  }

  #renderNow(): void {
    const { unsent, tooLarge } = this.#notebook;
    const { notes, isMore } = this.#shown();
    const items = new Map(notes.map((note) => [note.name, this.#item(note)]));
    for (const [name, { element }] of this.#items) if (!items.has(name)) element.remove();
    this.#items = items;
    let next = this.#list.firstElementChild;
    for (const note of notes) {
      const item = this.#item(note);
      item.show(note, {
        isNew: this.#new.has(note.name),
        isUnsent: unsent.has(note.name),
        isTooLarge: tooLarge.has(note.name),
      });
      if (item.element === next) next = next.nextElementSibling;
      else this.#list.insertBefore(item.element, next);
    }
    this.#older.hidden = !isMore;
  }

  /** The notes in the list, newest first, and whether there are more. */
  #shown(): { readonly notes: readonly Note[]; readonly isMore: boolean } {
    const query = this.#search.value.trim();
    const all = query === "" ? this.#notebook.newestFirst() : this.#notebook.search(query);
    const notes: Note[] = [];
    let count = 0;
    for (const note of all) {
      if (notes.length < this.#limit) notes.push(note);
      count++;
      // How many there are is said of a search alone.
      if (query === "" && count > this.#limit) break;
    }
    setText(this.#found, query === "" ? "" : foundText(count));
    this.#empty.hidden = count > 0 || query !== "";
    // What is being edited stays, wherever it is.
    const names = new Set(notes.map(({ name }) => name));
    for (const [name, { isEditing }] of this.#items) {
      if (isEditing && !names.has(name)) notes.push(this.#notebook.note(name));
    }
    notes.sort((a, b) => compareNames(b.name, a.name));
    return { notes, isMore: count > this.#limit };
  }

  #item(note: Note): NoteItem {
    const item = this.#items.get(note.name) ?? new NoteItem(note, this.#context);
    this.#items.set(note.name, item);
    return item;
  }
}

function foundText(count: number): string {
  if (count === 0) return "No note has all of these words.";
  return count === 1 ? "1 note found" : `${count.toLocaleString("en")} notes found`;
}
