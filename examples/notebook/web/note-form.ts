/** The form for a new note. What is typed is kept as a draft until the note is stored. */
import { find, hideError, isTypedInto, showError } from "./dom.ts";
import type { Drafts } from "./drafts.ts";

/** The name of its draft. */
export const NEW = "new";

export class NoteForm {
  readonly #form = find("write", HTMLFormElement);
  readonly #note = find("note", HTMLTextAreaElement);
  readonly #drafts: Drafts;
  readonly #write: (text: string) => Promise<void>;

  /** @param write stores a note; what it throws is shown, and the text stays */
  constructor(drafts: Drafts, write: (text: string) => Promise<void>) {
    this.#drafts = drafts;
    this.#write = write;
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#submit();
    });
    this.#note.addEventListener("input", () => this.#keep());
    this.#note.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.#form.requestSubmit();
    });
  }

  /** Shows a draft: of an earlier time, or of another tab. What is being typed here stays. */
  show(text: string): void {
    if (!isTypedInto(this.#note)) this.#note.value = text;
  }

  async #submit(): Promise<void> {
    const text = this.#note.value.trim();
    if (text === "" || this.#note.readOnly) return;
    this.#note.value = "";
    this.#note.focus();
    try {
      hideError();
      await this.#write(text);
      this.#keep();
    } catch (error) {
      this.#note.value = text;
      showError(error);
    }
  }

  #keep(): void {
    const { value } = this.#note;
    const kept = value === "" ? this.#drafts.drop(NEW) : this.#drafts.keep(NEW, value);
    kept.catch(showError);
  }
}

/** Takes no more notes. What is typed stays, to be copied. */
export function stopWriting(): void {
  for (const area of document.querySelectorAll<HTMLTextAreaElement>("#notebook textarea")) {
    area.readOnly = true;
  }
  for (const button of document.querySelectorAll<HTMLButtonElement>("#add, #notes button")) {
    button.disabled = true;
  }
}
