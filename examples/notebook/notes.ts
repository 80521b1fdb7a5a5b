/** What a note is to those that show it. */
import type { Doc } from "yjs";
import { type Content, contentOf } from "./note-doc.ts";
import { noteNameOf } from "./note-names.ts";

/** A note, as the page and the command line show it. */
export interface Note extends Content {
  /** The name of its document. */
  readonly name: string;
  /** 16 hexadecimal digits; people see the first eight. */
  readonly id: string;
  /** When it was written, in milliseconds since 1970; 0 if the note does not say. */
  readonly at: number;
  /** Whether its text can be edited. */
  readonly isText: boolean;
}

/** How many digits of an id people see. */
const SHORT = 8;

/** The note in a document. Throws a `TypeError` for a document that is not one of a note. */
export function noteOf(name: string, doc: Doc): Note {
  const named = noteNameOf(name);
  if (named === undefined) throw new TypeError(`the document "${name}" is not one of a note`);
  const content = contentOf(doc);
  const { bytes, text } = content;
  const isText = bytes === undefined;
  const shown = isText ? text : `(${bytes.length} bytes that are not text)`;
  return { ...named, ...content, name, isText, text: shown };
}

/** The id of a note for people. */
export function shortId({ id }: Pick<Note, "id">): string {
  return id.slice(0, SHORT);
}

/** Whether a note has all words of a query, in any order and in any case. */
export function matcher(query: string): (note: Pick<Note, "text">) => boolean {
  const words = folded(query).split(" ");
  return ({ text }) => {
    const comparable = folded(text);
    return words.every((word) => comparable.includes(word));
  };
}

/** A text as it is compared: in one case, one form of each character, and one kind of blank. */
function folded(text: string): string {
  return text.normalize("NFKC").toLowerCase().replace(/\s/g, " ");
}
