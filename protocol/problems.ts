/**
 * The problems of the protocol (RFC 9457), one row for each type. PROTOCOL.md says what a client
 * does about each.
 */

/** The media type of a problem document. */
export const PROBLEM_TYPE = "application/problem+json";

/** The prefix of a problem's name in its `type` member. */
export const PROBLEM_URN = "urn:sync-server:";

/** The HTTP status and the title of each problem. */
export const PROBLEMS = {
  "invalid-request": { status: 400, title: "Invalid request" },
  "signature-required": { status: 401, title: "Signature required" },
  "signature-invalid": { status: 401, title: "Signature invalid" },
  "user-not-allowed": { status: 403, title: "User not allowed" },
  "not-found": { status: 404, title: "Not found" },
  "method-not-allowed": { status: 405, title: "Method not allowed" },
  "request-timeout": { status: 408, title: "Request timeout" },
  "operation-gap": { status: 409, title: "Operation gap" },
  "operation-conflict": { status: 409, title: "Operation conflict" },
  "user-erased": { status: 410, title: "User erased" },
  "body-too-large": { status: 413, title: "Body too large" },
  "unsupported-media-type": { status: 415, title: "Unsupported media type" },
  "rate-limited": { status: 429, title: "Too many requests" },
  "new-users-limited": { status: 429, title: "Too many new users" },
  "internal-error": { status: 500, title: "Internal error" },
  "storage-unavailable": { status: 503, title: "Storage unavailable" },
  overloaded: { status: 503, title: "Overloaded" },
  stopping: { status: 503, title: "Stopping" },
  "quota-exceeded": { status: 507, title: "Quota exceeded" },
} as const satisfies Readonly<Record<string, { status: number; title: string }>>;

/** The name of a problem, such as `operation-gap`. */
export type ProblemType = keyof typeof PROBLEMS;

/** Whether a name is that of a problem of this protocol. */
export function isProblemType(name: string): name is ProblemType {
  return Object.hasOwn(PROBLEMS, name);
}
