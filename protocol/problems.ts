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
  "invalid-request": 400,
  "signature-required": 401,
  "signature-invalid": 401,
  "user-not-allowed": 403,
  "invite-refused": 403,
  "not-found": 404,
  "method-not-allowed": 405,
  "request-timeout": 408,
  "operation-gap": 409,
  "operation-conflict": 409,
  "operation-trimmed": 409,
  "snapshot-refused": 409,
  "snapshot-required": 409,
  "user-erased": 410,
  "body-too-large": 413,
  "unsupported-media-type": 415,
  "rate-limited": 429,
  "new-users-limited": 429,
  "internal-error": 500,
  "storage-unavailable": 503,
  overloaded: 503,
  stopping: 503,
  "quota-exceeded": 507,
} as const satisfies Readonly<Record<string, number>>;

/** The name of a problem, such as `operation-gap`. */
export type ProblemType = keyof typeof PROBLEMS;

/** Whether a name is that of a problem of this protocol. */
export function isProblemType(name: string): name is ProblemType {
  return Object.hasOwn(PROBLEMS, name);
}
