/** The reason in a status that an error leads to: a code for a program, and a sentence for a person. */
import { type ErrorCode, ServerRejected, ServerUnavailable } from "./errors.ts";
import type { Reason, StatusCode } from "./types.ts";

/** Of all other errors, the class alone decides. */
const CODES: Partial<Record<ErrorCode, StatusCode>> = {
  "rate-limited": "rate",
  "new-users-limited": "rate",
  "quota-exceeded": "quota",
  "body-too-large": "too-large",
  "user-not-allowed": "not-allowed",
  "invite-refused": "not-allowed",
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
