/** Notes and states as lines of text. */
import type { Status } from "../../../client/index.ts";
import { type Note, shortId } from "../notes.ts";
import { printable } from "./terminal.ts";

export function noteLine(note: Note): string {
  const { at, text, isDeleted } = note;
  const time = at === 0 ? "no time" : `${new Date(at).toISOString().slice(0, 16)} UTC`;
  const shown = isDeleted ? "(deleted)" : printable(text);
  return `${time.replace("T", " ").padEnd(20)}  ${shortId(note)}  ${shown}\n`;
}

/** @param device the name of the device that has written it */
export function noteJson(note: Note, device: string): string {
  const { at, edited, client, text, isDeleted } = note;
  const said = isDeleted ? { deleted: true } : { at, edited, client, device, text };
  return `${JSON.stringify({ id: shortId(note), ...said })}\n`;
}

export function noteCount(count: number): string {
  return count === 1 ? "1 note" : `${count} notes`;
}

export function statusText(status: Status): string {
  const { refused } = status;
  const pending = status.pending === 0 ? "" : `; ${status.pending} to be sent`;
  const more = `${pending}${refused === 0 ? "" : `; refused: ${refused}`}`;
  if (status.state === "synced") return `synced${more}`;
  if (status.state !== "pending") return `${status.state}: ${clause(status.why)}${more}`;
  return `${status.why === undefined ? "in progress" : `waiting: ${clause(status.why)}`}${more}`;
}

/** A sentence without its full stop, to be a part of another sentence. */
export function clause(sentence: string): string {
  return sentence.replace(/[.?]$/, "");
}
