/** The form in which a note is edited. What is typed is kept as a draft until it is saved. */
import { fromBase64url, toBase64url } from "../../../protocol/base64.ts";
import { NoteEdit } from "../note-edit.ts";
import { create, hideError, isTypedInto, showError } from "./dom.ts";

/** What an editor is opened with. */
export interface EditorOptions {
  readonly edit: NoteEdit;
  /** Saves the edit; what it throws is shown, and the editor stays. */
  readonly save: (edit: NoteEdit) => Promise<void>;
  /** Called with the edit each time something was typed. */
  readonly keep: (draft: () => string) => Promise<void>;
  /** Called once it is closed. */
  readonly close: () => void;
}

/** Editors are counted, so that each field has a name of its own. */
let count = 0;

export class NoteEditor {
  readonly form = document.createElement("form");
  readonly #area = document.createElement("textarea");
  readonly #hint = create("p");
  readonly #options: EditorOptions;
  #edit: NoteEdit;
  #isChanged = false;
  #isSaving = false;

  constructor(options: EditorOptions) {
    this.#options = options;
    this.#edit = options.edit;
    const label = document.createElement("label");
    label.textContent = "Edit note";
    label.htmlFor = `edit-${++count}`;
    this.#area.id = label.htmlFor;
    this.#area.dir = "auto";
    // Browsers keep what is typed, in clear text, unless they are told not to.
    this.#area.autocomplete = "off";
    this.#area.required = true;
    this.#area.maxLength = 1_000_000;
    this.#hint.className = "hint";
    this.#hint.setAttribute("role", "status");
    const row = create("div");
    row.className = "row";
    const [save, cancel] = [button("Save", "submit"), button("Cancel", "button")];
    row.append(save, cancel);
    this.form.append(label, this.#area, row, this.#hint);
    this.#area.addEventListener("input", () => this.#type());
    this.#area.addEventListener("keydown", (event) => this.#press(event));
    cancel.addEventListener("click", () => this.#cancel());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      void this.#save();
    });
    this.#show();
  }

  /** Shows a draft: of an earlier time, or of another tab. */
  show(draft: string): void {
    this.#edit = editOf(draft);
    this.#isChanged = true;
    this.#show();
  }

  /** Whether a person types into it. */
  get isTypedInto(): boolean {
    return isTypedInto(this.#area);
  }

  /** Says what has become of the note meanwhile. */
  hint(text: string): void {
    if (this.#hint.textContent !== text) this.#hint.textContent = text;
  }

  focus(): void {
    this.#area.focus();
    this.#area.setSelectionRange(this.#area.value.length, this.#area.value.length);
  }

  #show(): void {
    this.#area.value = this.#edit.text;
    const lines = this.#edit.text.split("\n").length;
    this.#area.rows = Math.min(20, Math.max(3, lines + 1));
  }

  #type(): void {
    this.#isChanged = true;
    const edit = this.#edit;
    edit.type(this.#area.value);
    this.#options.keep(() => draftOf(edit)).catch(showError);
  }

  #press(event: KeyboardEvent): void {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    if (event.key === "Escape") this.#cancel();
  }

  #cancel(): void {
    if (this.#isChanged && !confirm("Discard what you have changed in this note?")) return;
    this.#options.close();
  }

  async #save(): Promise<void> {
    if (this.#isSaving || this.#area.readOnly || this.#area.value.trim() === "") return;
    this.#isSaving = true;
    try {
      hideError();
      // What is typed while it is saved is saved as well.
      while (this.#isChanged) {
        this.#isChanged = false;
        await this.#options.save(this.#edit);
      }
      this.#options.close();
    } catch (error) {
      this.#isChanged = true;
      showError(error);
    } finally {
      this.#isSaving = false;
    }
  }
}

/** An edit as a draft is kept. */
function draftOf(edit: NoteEdit): string {
  const { state, base } = edit.kept();
  return `${toBase64url(state)}.${toBase64url(base)}`;
}

/** The edit in a draft. Throws a `TypeError` for a text that is none. */
export function editOf(draft: string): NoteEdit {
  const [state, base] = draft.split(".").map((part) => fromBase64url(part));
  if (state === undefined || base === undefined) throw new TypeError("this is no draft of a note");
  return NoteEdit.from({ state, base });
}

/** A button with a text. */
export function button(text: string, type: "button" | "submit"): HTMLButtonElement {
  const element = document.createElement("button");
  element.type = type;
  element.textContent = text;
  return element;
}
