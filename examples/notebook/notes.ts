/** What a note is: the data of an entry. The page and the command line share it. */
import { type Entry, textOf } from "../../client/index.ts";

/** A note, and the name of the entry that holds it. */
export interface Note {
  readonly client: string;
  readonly index: number;
  readonly position: number;
  /** When it was written, in milliseconds since 1970; 0 if the entry does not say. */
  readonly at: number;
  readonly text: string;
}

/** The data of an entry for a note written at a time, in milliseconds since 1970. */
export function noteData(text: string, at: number): string {
  return JSON.stringify({ at, text });
}

/** The note in an entry. Data that another app wrote is shown as text if it is text. */
export function noteOf({ client, index, position, data }: Entry): Note {
  return { client, index, position, ...contentOf(data) };
}

/** Orders notes by the time of writing, as far as the clocks of the devices agree. */
export function compareNotes(a: Note, b: Note): number {
  if (a.at !== b.at) return a.at - b.at;
  if (a.client !== b.client) return a.client < b.client ? -1 : 1;
  return a.index - b.index || a.position - b.position;
}

function contentOf(data: Entry["data"]): { at: number; text: string } {
  const text = decode(data);
  if (text === undefined) return { at: 0, text: `(${data.length} bytes that are not text)` };
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
