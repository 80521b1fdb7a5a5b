/** The list of notes on the page, newest first. Only those that may be on the screen are in it. */
import type { OperationName } from "../../../client/index.ts";
import type { Note } from "../notes.ts";
import { SortedNotes } from "../sorted-notes.ts";
import { beforeNextFrame, create, find, setText } from "./dom.ts";

/** How many notes the list has at first, and gets more when its end comes into sight. */
const STEP = 50;

export class NotesList {
  readonly #list = find("notes", HTMLUListElement);
  readonly #older = find("older", HTMLButtonElement);
  readonly #empty = find("none", HTMLElement);
  readonly #news = find("news", HTMLElement);
  readonly #notes = new SortedNotes();
  /** The notes of this tab, in the order of their creation, with their number in it. */
  readonly #own = new Map<Note, number>();
  /** Notes that came while the page was open. */
  readonly #new = new Set<Note>();
  #items = new Map<Note, HTMLLIElement>();
  #limit = STEP;
  #pending = 0;
  /** The names of operations that are too large for the server. */
  #tooLarge: ReadonlySet<string> = new Set();
  readonly #render = beforeNextFrame(() => this.#renderNow());

  constructor() {
    const showMore = () => {
      this.#limit += STEP;
      this.#render();
    };
    this.#older.addEventListener("click", showMore);
    new IntersectionObserver(([entry]) => {
      if (entry?.isIntersecting) showMore();
    }).observe(this.#older);
  }

  /** Adds notes written in this tab, in the order of their creation. */
  addOwn(notes: readonly Note[]): void {
    const added = new Set(this.#notes.add(notes));
    for (const note of notes) if (added.has(note)) this.#own.set(note, this.#own.size);
    this.#render();
  }

  /**
   * Adds notes of other devices.
   *
   * @param announce whether they are new, to highlight them and have a screen reader announce them
   */
  addOthers(notes: readonly Note[], announce: boolean): void {
    const added = this.#notes.add(notes);
    this.#render();
    const [first, ...more] = notes;
    if (!announce || first === undefined) return;
    for (const note of added) this.#new.add(note);
    const text = more.length === 0 ? `New note: ${first.text}` : `${notes.length} new notes`;
    setText(this.#news, text);
  }

  /**
   * Marks the newest of this tab's notes, as many as are not sent yet.
   *
   * @param tooLarge those among the unsent that the server does not take, wherever they are
   */
  setPending(count: number, tooLarge: readonly OperationName[]): void {
    this.#tooLarge = new Set(tooLarge.map(nameOf));
    const isTooLarge = (note: Note) => this.#tooLarge.has(nameOf(note));
    this.#pending = count - [...this.#own.keys()].filter(isTooLarge).length;
    this.#render();
  }

  /** The index of the newest of this tab's notes under a client id, if there is one. */
  newestOwn(client: string): number | undefined {
    const newest = [...this.#own.keys()].at(-1);
    return newest?.client === client ? newest.index : undefined;
  }

  /** Removes the notes of this tab, to be added again. */
  clearOwn(): void {
    this.#notes.remove(new Set(this.#own.keys()));
    this.#own.clear();
    this.#render();
  }

  #renderNow(): void {
    const notes = this.#notes.newest(this.#limit);
    const items = new Map(notes.map((note) => [note, this.#items.get(note) ?? this.#item(note)]));
    for (const [note, item] of this.#items) if (!items.has(note)) item.remove();
    this.#items = items;
    let next = this.#list.firstElementChild;
    for (const [note, item] of items) {
      this.#mark(note, item);
      if (item === next) next = next.nextElementSibling;
      else this.#list.insertBefore(item, next);
    }
    this.#older.hidden = this.#notes.length <= this.#limit;
    this.#empty.hidden = this.#notes.length > 0;
  }

  #item(note: Note): HTMLLIElement {
    const item = document.createElement("li");
    item.toggleAttribute("data-new", this.#new.has(note));
    const small = create("small");
    if (note.at > 0) {
      const time = document.createElement("time");
      const date = new Date(note.at);
      time.dateTime = date.toISOString();
      time.textContent = TIME.format(date);
      small.append(time, ", ");
    }
    const origin = this.#own.has(note) ? "written here" : `from device ${note.client.slice(0, 8)}`;
    small.append(create("span", origin), create("span"));
    const text = create("p", note.text);
    // Notes in scripts from right to left begin at the right.
    text.dir = "auto";
    item.append(text, small);
    return item;
  }

  #mark(note: Note, item: HTMLLIElement): void {
    const isTooLarge = this.#tooLarge.has(nameOf(note));
    const isPending = (this.#own.get(note) ?? -1) >= this.#own.size - this.#pending;
    item.toggleAttribute("data-pending", isPending || isTooLarge);
    const mark = item.querySelector("small > span:last-child");
    const text = isPending ? ", not sent yet" : "";
    if (mark instanceof HTMLElement)
      setText(mark, isTooLarge ? ", too large for the server" : text);
  }
}

/** One for all: making one takes longer than using it. */
const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

function nameOf({ client, index }: OperationName): string {
  return `${client} ${index}`;
}
