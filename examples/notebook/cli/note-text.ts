/** The text of a note, as it is given to a command. */
import { readFile } from "node:fs/promises";
import { textOf } from "../../../client/index.ts";
import { UsageError } from "./errors.ts";

/** By default the server takes requests of 16 MiB, and encryption in base64url adds a third. */
const MAX_NOTE_BYTES = 8 * 2 ** 20;

/** The text in words or in a file; `undefined` where neither is given. Throws a `UsageError`. */
export async function givenText(
  words: readonly string[],
  file: string | undefined,
): Promise<string | undefined> {
  if (file !== undefined && words.length > 0) {
    throw new UsageError("give a text or --file, not both");
  }
  if (file !== undefined) return checked(decode(await readFile(file), file));
  return words.length === 0 ? undefined : checked(words.join(" "));
}

/** Throws a `UsageError` for a text that is too large for a note. */
export function checked(text: string): string {
  const size = Buffer.byteLength(text);
  if (size <= MAX_NOTE_BYTES) return text;
  throw new UsageError(
    `a note can have at most ${MAX_NOTE_BYTES / 2 ** 20} MiB: split this one of ${size} bytes`,
  );
}

export function decode(bytes: Uint8Array, file: string): string {
  try {
    return textOf(bytes);
  } catch (error) {
    throw new UsageError(`${file} is not text in UTF-8`, { cause: error });
  }
}
