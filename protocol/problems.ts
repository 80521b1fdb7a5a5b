/**
 * The problems of the protocol (RFC 9457), one row for each type. PROTOCOL.md says what a client
 * does about each.
 */

/** The media type of a problem document. */
export const PROBLEM_TYPE = "application/problem+json";

/** The prefix of a problem's name in its `type` member. */
export const PROBLEM_URN = "urn:sync-server:";

/** The HTTP status of each problem. Titles are the server's: a client shows none. */
export const PROBLEMS = {
  "invalid-request": { status: 400 },
  "signature-required": { status: 401 },
  "signature-invalid": { status: 401 },
  "user-not-allowed": { status: 403 },
  "not-found": { status: 404 },
  "method-not-allowed": { status: 405 },
  "request-timeout": { status: 408 },
  "operation-gap": { status: 409 },
  "operation-conflict": { status: 409 },
  "user-erased": { status: 410 },
  "body-too-large": { status: 413 },
  "unsupported-media-type": { status: 415 },
  "rate-limited": { status: 429 },
  "new-users-limited": { status: 429 },
  "internal-error": { status: 500 },
  "storage-unavailable": { status: 503 },
  overloaded: { status: 503 },
  stopping: { status: 503 },
  "quota-exceeded": { status: 507 },
} as const satisfies Readonly<Record<string, { status: number }>>;

/** The name of a problem, such as `operation-gap`. */
export type ProblemType = keyof typeof PROBLEMS;

/** Whether a name is that of a problem of this protocol. */
export function isProblemType(name: string): name is ProblemType {
  return Object.hasOwn(PROBLEMS, name);
}
