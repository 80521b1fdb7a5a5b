/** A note in the list: shown, folded if it is long, and edited. */

import { NoteEdit } from "../note-edit.ts";
import type { Notebook } from "../notebook.ts";
import type { Note } from "../notes.ts";
import { withStorage } from "./browser.ts";
import { create, setText } from "./dom.ts";
import type { Drafts } from "./drafts.ts";
import { button, editOf, NoteEditor } from "./note-editor.ts";

/** Of a long note, so much is shown. */
const MOST_LINES = 12;
const MOST_CHARACTERS = 900;
/** A note that is not much longer is shown whole. */
const ALLOWANCE = 1.25;

/** What an item works with. */
export interface ItemContext {
  readonly notebook: Notebook;
  readonly drafts: Drafts;
  readonly delete: (note: Note) => Promise<void>;
  /** Called when an editor was opened or closed. */
  readonly changed: () => void;
}

/** How a note stands. */
export interface Marks {
  readonly isNew: boolean;
  readonly isUnsent: boolean;
  readonly isTooLarge: boolean;
}

export class NoteItem {
  readonly element = document.createElement("li");
  readonly #context: ItemContext;
  readonly #text = document.createElement("p");
  readonly #fold = button("Show all", "button");
  readonly #about = create("small");
  readonly #origin = create("span");
  readonly #mark = create("span");
  readonly #edit = button("Edit", "button");
  readonly #delete = button("Delete", "button");
  readonly #foot = create("div");
  #note: Note;
  #editor: NoteEditor | undefined;
  /** The note when the editor was opened. */
  #edited: Note | undefined;
  #isUnfolded = false;

  constructor(note: Note, context: ItemContext) {
    this.#note = note;
    this.#context = context;
    // Notes in scripts from right to left begin at the right.
    this.#text.dir = "auto";
    this.#fold.className = "fold";
    this.#foot.className = "foot";
    this.#fold.addEventListener("click", () => {
      this.#isUnfolded = !this.#isUnfolded;
      this.#showText();
    });
    this.#edit.addEventListener("click", () => {
      this.#open();
      this.#editor?.focus();
    });
    this.#delete.addEventListener("click", () => void context.delete(this.#note));
    this.#foot.append(this.#about, this.#edit, this.#delete);
    this.element.append(this.#text, this.#fold, this.#foot);
    this.#showNote();
  }

  get isEditing(): boolean {
    return this.#editor !== undefined;
  }

  show(note: Note, { isNew, isUnsent, isTooLarge }: Marks): void {
    this.element.toggleAttribute("data-new", isNew);
    this.element.toggleAttribute("data-pending", isUnsent || isTooLarge);
    const mark = isUnsent ? ", not sent yet" : "";
    setText(this.#mark, isTooLarge ? ", too large for the server" : mark);
    // The name of a device can change.
    setText(this.#origin, this.#originText());
    if (note === this.#note) return;
    this.#note = note;
    this.#showNote();
  }

  /** Shows what was typed at an earlier time, or in another tab: `undefined` where that was saved. */
  showDraft(draft: string | undefined): void {
    // What is being typed here stays.
    if (this.#editor?.isTypedInto) return;
    if (draft === undefined) this.#close();
    else if (this.#editor === undefined) this.#open(draft);
    else this.#editor.show(draft);
  }

  #open(draft?: string): void {
    const { notebook, drafts } = this.#context;
    const { name } = this.#note;
    this.#edited = this.#note;
    this.#editor = new NoteEditor({
      edit: draft === undefined ? NoteEdit.of(notebook.updates(name)) : editOf(draft),
      save: (edit) => withStorage(() => notebook.save(name, edit)),
      keep: (text) => drafts.keep(name, text),
      close: () => {
        void drafts.drop(name);
        this.#close();
        this.#edit.focus();
      },
    });
    if (draft !== undefined) this.#editor.show(draft);
    this.element.append(this.#editor.form);
    this.#showParts();
    this.#context.changed();
  }

  #close(): void {
    this.#editor?.form.remove();
    this.#editor = undefined;
    this.#showParts();
    this.#context.changed();
  }

  #showNote(): void {
    this.#showText();
    this.#showAbout();
    this.#showParts();
  }

  #showText(): void {
    const { text } = this.#note;
    const beginning = beginningOf(text);
    const isLong = beginning.length * ALLOWANCE < text.length;
    setText(this.#text, isLong && !this.#isUnfolded ? `${beginning}…` : text);
    this.#fold.hidden = !isLong || this.isEditing;
    this.#fold.setAttribute("aria-expanded", String(this.#isUnfolded));
    setText(this.#fold, this.#isUnfolded ? "Show less" : "Show all");
  }

  #showAbout(): void {
    const { at, edited, client } = this.#note;
    const parts: (Node | string)[] = at > 0 ? [time(at), ", "] : [];
    setText(this.#origin, this.#originText());
    this.#origin.title = client;
    parts.push(this.#origin);
    if (edited !== undefined) parts.push(", edited ", time(edited));
    this.#about.replaceChildren(...parts, this.#mark);
  }

  #originText(): string {
    const { client } = this.#note;
    const { notebook } = this.#context;
    if (notebook.isOwn(this.#note)) return "written here";
    return `from ${notebook.devices.find(client) ?? `device ${client.slice(0, 8)}`}`;
  }

  #showParts(): void {
    const { isText, isDeleted } = this.#note;
    this.#text.hidden = this.isEditing;
    this.#foot.hidden = this.isEditing;
    this.#edit.hidden = !isText;
    this.#showText();
    if (this.#note === this.#edited && !isDeleted) return;
    this.#editor?.hint(
      isDeleted
        ? "Another device has deleted this note meanwhile. If you save, it stays."
        : "Another device has changed this note meanwhile. If you save, it has the words of both.",
    );
  }
}

/** The first lines of a text. */
export function beginningOf(text: string): string {
  const lines = text.slice(0, MOST_CHARACTERS).split("\n").slice(0, MOST_LINES).join("\n");
  // Not half of a character.
  return lines.isWellFormed() ? lines : lines.slice(0, -1);
}

function time(at: number): HTMLTimeElement {
  const element = document.createElement("time");
  const date = new Date(at);
  element.dateTime = date.toISOString();
  element.textContent = TIME.format(date);
  return element;
}

/** One for all: making one takes longer than using it. */
const TIME = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
