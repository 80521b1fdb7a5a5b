/** Errors that the person at the terminal can resolve. */

/** The message says what to do. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** The arguments are not those of a command. */
export class InvalidArguments extends UsageError {
  override name = "InvalidArguments";
}

/** Whether an error has this code, such as `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
