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
  /** The notes that are being stored: they stay in the draft until then. */
  readonly #storing: string[] = [];

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
    this.#storing.push(text);
    try {
      hideError();
      await this.#write(text);
      this.#end(text);
    } catch (error) {
      this.#end(text);
      // The next one may have been begun.
      this.#note.value = joined([text, this.#note.value]);
      showError(error);
    }
    this.#keep();
  }

  #end(text: string): void {
    this.#storing.splice(this.#storing.indexOf(text), 1);
  }

  #keep(): void {
    const draft = joined([...this.#storing, this.#note.value]);
    const kept = draft === "" ? this.#drafts.drop(NEW) : this.#drafts.keep(NEW, () => draft);
    kept.catch(showError);
  }
}

/** Texts that become one draft. */
function joined(texts: readonly string[]): string {
  return texts.filter((text) => text !== "").join("\n\n");
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
