/** Notes: what the command line and the web page put into operations, so that they share a notebook. */

import type { Operation } from "../../client/types.ts";
import { textOf } from "../../protocol/bytes.ts";

/** A note, and which operation it came in. */
export interface Note {
  readonly client: string;
  readonly index: number;
  /** When it was written, in milliseconds since 1970; 0 where the operation does not say. */
  readonly at: number;
  readonly text: string;
}

/** What an operation holds for a note written at a time, in milliseconds since 1970. */
export function noteData(text: string, at: number): string {
  return JSON.stringify({ at, text });
}

/** The note of an operation. One that some other app has made is shown as well as may be. */
export function noteOf({ client, index, data }: Operation): Note {
  return { client, index, ...contentOf(data) };
}

/** In the order in which they were written, as far as the clocks of the devices agree. */
export function compareNotes(a: Note, b: Note): number {
  if (a.at !== b.at) return a.at - b.at;
  if (a.client !== b.client) return a.client < b.client ? -1 : 1;
  return a.index - b.index;
}

function contentOf(data: Uint8Array): { at: number; text: string } {
  const text = textIn(data);
  if (text === undefined) return { at: 0, text: `(${data.length} bytes that are no text)` };
  const note = parsed(text);
  if (typeof note !== "object" || note === null) return { at: 0, text };
  if (!("text" in note && typeof note.text === "string")) return { at: 0, text };
  const at = "at" in note && isTime(note.at) ? note.at : 0;
  return { at, text: note.text };
}

/** The most that a `Date` takes. */
const LAST_TIME = 8.64e15;

function isTime(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value <= LAST_TIME;
}

function textIn(data: Uint8Array): string | undefined {
  try {
    return textOf(data);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
