/** Errors that the person at the terminal can resolve. */
import { ServerRejected, ServerUnavailable } from "../../../client/index.ts";

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

/** Whether the server refuses, or does not answer. */
export function isOfServer(error: unknown): error is ServerUnavailable | ServerRejected {
  return error instanceof ServerUnavailable || error instanceof ServerRejected;
}
