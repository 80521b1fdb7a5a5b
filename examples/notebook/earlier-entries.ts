/** Entries that are no updates of documents, as the notebook and other apps have written them: they are notes. */
import type { NamedUpdate } from "../../client/documents.ts";
import { type Entry, textOf } from "../../client/index.ts";
import { adoptedUpdate, type Written } from "./adopted-update.ts";
import { adoptedNoteName } from "./note-names.ts";

/** Formats of documents, of this version or of later ones (docs/documents.md, D-3). */
const FIRST_FORMAT = 0xf8;

/**
 * The note in an entry: of the notebook's earlier form, `{"at","text"}`, or else its data. `undefined` for
 * an entry that another version of documents has written.
 */
export function adopt({ data, ...place }: Entry): NamedUpdate | undefined {
  if ((data[0] ?? 0) >= FIRST_FORMAT) return undefined;
  const { at, ...written } = writtenIn(data);
  return {
    name: adoptedNoteName(place, at, data),
    update: adoptedUpdate({ client: place.client, ...written }),
  };
}

function writtenIn(data: Entry["data"]): Omit<Written, "client"> & { readonly at: number } {
  const text = decode(data);
  if (text === undefined) return { at: 0, text: "", bytes: data };
  const note = parse(text);
  if (typeof note !== "object" || note === null) return { at: 0, text };
  if (!("text" in note && typeof note.text === "string")) return { at: 0, text };
  const at = "at" in note && isTime(note.at) ? note.at : 0;
  return { at, text: note.text };
}

/** The last time that a `Date` can hold. */
const LAST_TIME = 8.64e15;

function isTime(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= LAST_TIME;
}

/** `undefined` for bytes that are not UTF-8. */
function decode(data: Entry["data"]): string | undefined {
  try {
    return textOf(data);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

/** `undefined` for a text that is not JSON. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
