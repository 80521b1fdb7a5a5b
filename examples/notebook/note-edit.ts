/** An edit of a note that is not saved yet: apart from the note, which other devices may change meanwhile. */
import { type Doc, encodeStateAsUpdate, transact } from "yjs";
import { docOf, keep, sent } from "./note-doc.ts";
import { fieldChange, type TextChange, textChange } from "./text-change.ts";

/** What is to be kept of an edit that is not saved. */
export interface KeptEdit {
  /** The note with what was changed of it, as an update of Yjs. */
  readonly state: Uint8Array;
  /** The note when the edit began, as a state vector of Yjs. */
  readonly base: Uint8Array;
}

export class NoteEdit {
  readonly #doc: Doc;
  readonly #base: Uint8Array;

  private constructor(doc: Doc, base: Uint8Array) {
    this.#doc = doc;
    this.#base = base;
  }

  /** Begins with a note as its updates make it. */
  static of(updates: readonly Uint8Array[]): NoteEdit {
    const doc = docOf(updates);
    return new NoteEdit(doc, sent(doc));
  }

  /** Goes on with an edit that was kept. */
  static from({ state, base }: KeptEdit): NoteEdit {
    return new NoteEdit(docOf([state]), base);
  }

  get text(): string {
    return this.#doc.getText("text").toString();
  }

  /** Makes the text another one, by the smallest replacement. To be called for each change by itself. */
  change(after: string): void {
    this.#replace(textChange(this.text, after));
  }

  /** The same for what a person has made of the text in a field: the ends of the other lines stay. */
  type(after: string): void {
    this.#replace(fieldChange(this.text, after));
  }

  #replace({ at, removed, inserted }: TextChange): void {
    const text = this.#doc.getText("text");
    transact(this.#doc, () => {
      if (removed > 0) text.delete(at, removed);
      if (inserted !== "") text.insert(at, inserted);
    });
  }

  /**
   * The update that brings the edit to the note, wherever that is by then. Where another device deletes the
   * note without knowing of it, the note stays.
   *
   * @param at the time of the edit, in milliseconds since 1970
   */
  update(at: number): Uint8Array {
    transact(this.#doc, () => {
      this.#doc.getMap("note").set("edited", at);
      keep(this.#doc);
    });
    return encodeStateAsUpdate(this.#doc, this.#base);
  }

  kept(): KeptEdit {
    return { state: encodeStateAsUpdate(this.#doc), base: this.#base };
  }
}
