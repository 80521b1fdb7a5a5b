/** What a person or a program is told of an error. */
import { type ErrorCode, ServerRejected, ServerUnavailable } from "./errors.ts";
import type { Reason, StatusCode } from "./types.ts";

/** Problems that have a code of their own. */
const CODES: Partial<Record<ErrorCode, StatusCode>> = {
  "rate-limited": "rate",
  "new-users-limited": "rate",
  "quota-exceeded": "quota",
  "body-too-large": "too-large",
  "user-not-allowed": "not-allowed",
  "clock-skew": "clock",
  "signature-required": "signature",
  "signature-invalid": "signature",
  "user-erased": "erased",
  "operation-conflict": "place-taken",
  "internal-error": "busy",
  "storage-unavailable": "busy",
  overloaded: "busy",
  stopping: "busy",
};

/** The reason that an error is: its message is the sentence. */
export function reasonOf(error: unknown): Reason {
  const why = error instanceof Error ? error.message : String(error);
  if (error instanceof ServerUnavailable) return { code: CODES[error.code] ?? "offline", why };
  if (error instanceof ServerRejected) return { code: CODES[error.code] ?? "server", why };
  return { code: "device", why };
}
