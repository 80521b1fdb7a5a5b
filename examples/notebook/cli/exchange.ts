/** What the commands have in common that exchange notes with the server. */
import type { OperationName } from "../../../client/index.ts";
import type { Note } from "../notes.ts";
import { isOfServer, UsageError } from "./errors.ts";
import { clause, noteJson, noteLine } from "./format.ts";
import type { Session } from "./session.ts";
import { print, printable } from "./terminal.ts";

/**
 * Sends what was written or changed. Throws a `UsageError` where that fails, which says what becomes of it.
 *
 * @param work what is done before
 */
export async function sending(
  session: Session,
  folder: string,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
    await session.sync({ isPatient: true });
  } catch (error) {
    const { status, tooLarge } = session;
    if (!isOfServer(error) || status.pending === 0) throw error;
    const others = status.pending - session.notebook.tooLarge.size;
    const isFinal = status.state === "refused" && status.final;
    const ending = isFinal ? "log prints them." : "the next send, log or watch sends them.";
    const sentences = [
      `${clause(error.message)}.`,
      ...(tooLarge.length === 0 ? [] : [tooLargeText(tooLarge, folder)]),
      ...(others === 0
        ? []
        : [`Notes that are not sent (${others}) are kept in ${folder}; ${ending}`]),
    ];
    if (others === 0) sentences.push("All others are sent.");
    throw new UsageError(sentences.join(" "));
  } finally {
    await session.close();
  }
}

/** Syncs, and returns all notes that are here then, oldest first. What fails at the server is a warning. */
export async function receiving(session: Session, folder: string): Promise<Note[]> {
  try {
    await session.sync();
  } catch (error) {
    if (!isOfServer(error)) throw error;
    const { status, tooLarge } = session;
    // A round that failed is in the status; one that left only what is too large has read everything.
    const isRead = tooLarge.length > 0 && "why" in status && status.why !== error.message;
    const sentences = [
      ...(isRead ? [] : [`${clause(error.message)}. Notes of other devices may be missing.`]),
      ...(tooLarge.length === 0 ? [] : [tooLargeText(tooLarge, folder)]),
    ];
    console.error(printable(`Warning: ${sentences.join(" ")}`));
    process.exitCode = 1;
  }
  return session.notes();
}

/** Prints notes in their order. */
export async function printNotes(
  { notebook }: Session,
  notes: Iterable<Note>,
  json = false,
): Promise<void> {
  for (const note of notes) {
    await print(json ? noteJson(note, notebook.devices.of(note.client)) : noteLine(note));
  }
}

/** What becomes of notes that are too large for the server. */
function tooLargeText(tooLarge: readonly OperationName[], folder: string): string {
  return (
    `Too large for the server: ${placesText(tooLarge)}. They are kept in ${folder}, log prints them, ` +
    "and each send, log, watch or status tries to send them again."
  );
}

export function placesText(notes: readonly OperationName[]): string {
  return notes.map(({ client, index }) => `note ${index} of ${client}`).join(", ");
}
