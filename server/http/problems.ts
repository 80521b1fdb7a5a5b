/** Errors as RFC 9457 `application/problem+json`: one table has the answer to each. */
import type { Fingerprint } from "../../oplog/names.ts";
import { REQUEST_TYPE } from "../../protocol/limits.ts";
import {
  isProblemType,
  PROBLEM_TYPE,
  PROBLEM_URN,
  PROBLEMS,
  type ProblemType,
} from "../../protocol/problems.ts";
import type { RateStatus } from "../../sync/rate-limiter.ts";
import { type Fields, type Reply, rateFields } from "./response.ts";
import { acceptSignature } from "./signature.ts";

/** An error that is answered with a problem; every layer throws errors of this shape. */
export interface ProblemError extends Error {
  readonly code: ProblemType;
  /** What was wrong and what to do, for a person; absent where the table says it. */
  readonly detail?: string | undefined;
  /** Further members of the document. */
  readonly members?: Readonly<Record<string, unknown>> | undefined;
  readonly headers?: Fields | undefined;
  /** Seconds after which to send the request again. */
  readonly retryAfter?: number;
  /** The state of the limit that refused the request. */
  readonly rate?: RateStatus;
  /** Whose signature is asked for. */
  readonly user?: Fingerprint;
  /** The components that it has to cover; `SIGNED_COMPONENTS` where absent. */
  readonly covers?: readonly string[];
}

/** A problem that HTTP itself has with a request. */
export class Problem extends Error implements ProblemError {
  override name = "Problem";
  readonly code: ProblemType;
  readonly detail: string | undefined;
  readonly members: ProblemError["members"];
  readonly headers: ProblemError["headers"];

  constructor(
    code: ProblemType,
    detail?: string,
    { members, headers }: Pick<ProblemError, "members" | "headers"> = {},
  ) {
    super(detail ?? code);
    this.code = code;
    this.detail = detail;
    this.members = members;
    this.headers = headers;
  }
}

/** How a type of problem is answered. */
interface Row {
  readonly title: string;
  readonly detail: (error: ProblemError) => string;
  readonly headers?: Fields;
}

const itsMessage = ({ message }: ProblemError) => message;

/** For a body that was not read to its end: the rest of it is still arriving. */
const CLOSE = { Connection: "close" };

// A 401 has to have this field; no scheme is registered for signatures.
const CHALLENGE = { "WWW-Authenticate": "Signature" };

const ROWS: Readonly<Record<ProblemType, Row>> = {
  "invalid-request": { title: "Invalid request", detail: itsMessage },
  "signature-required": {
    title: "Signature required",
    detail: ({ message }) =>
      `The request is not signed: ${message}. Nothing was stored. Sign it as Accept-Signature says.`,
    headers: CHALLENGE,
  },
  "signature-invalid": {
    title: "Signature invalid",
    detail: ({ message }) =>
      `The signature is invalid: ${message}. Nothing was stored. Sign as Accept-Signature says.`,
    headers: CHALLENGE,
  },
  "user-not-allowed": {
    title: "User not allowed",
    detail: () =>
      "This server has a list of its users, and this key is not on it. Ask the operator to add its fingerprint.",
  },
  "invite-refused": {
    title: "Invite refused",
    detail: ({ message }) =>
      `The invite is refused: ${message}. Nothing was stored. Ask the operator for another one.`,
  },
  "not-found": { title: "Not found", detail: itsMessage },
  "method-not-allowed": { title: "Method not allowed", detail: itsMessage },
  "request-timeout": { title: "Request timeout", detail: itsMessage, headers: CLOSE },
  "operation-gap": {
    title: "Operation gap",
    detail: ({ message }) =>
      `Operations are missing before this one: ${message}. Nothing was stored. Continue from next_index.`,
  },
  "operation-conflict": {
    title: "Operation conflict",
    detail: ({ message }) =>
      `Nothing was stored: ${message}. This client id is in use twice: take a new one.`,
  },
  "operation-trimmed": {
    title: "Operation trimmed",
    detail: ({ message }) =>
      `Nothing was stored: ${message}. If all operations before next_index are this client's own, continue from there.`,
  },
  "snapshot-refused": {
    title: "Snapshot refused",
    detail: ({ message }) =>
      `Nothing was stored: the snapshot does not fit, ${message}. Send its operation without the member snapshot.`,
  },
  "snapshot-required": {
    title: "Snapshot required",
    detail: () =>
      'Operations that this client is not aware of were deleted, and snapshots stand for them. Read with "snapshots": true.',
  },
  "user-erased": {
    title: "User erased",
    detail: () => "This user was erased. Nothing was stored, and nothing will be.",
  },
  "body-too-large": { title: "Body too large", detail: itsMessage, headers: CLOSE },
  "unsupported-media-type": {
    title: "Unsupported media type",
    detail: itsMessage,
    headers: { Accept: REQUEST_TYPE },
  },
  "rate-limited": {
    title: "Too many requests",
    detail: ({ retryAfter }) =>
      `This user has used up the rate limit. Nothing was stored. Try again in ${retryAfter} s.`,
  },
  "new-users-limited": {
    title: "Too many new users",
    detail: ({ retryAfter }) =>
      `Too many new users have begun to store operations from this network address. Nothing was stored. Try again in ${retryAfter} s.`,
  },
  "internal-error": {
    title: "Internal error",
    detail: () => "The server failed unexpectedly; its log has the reason. Try again later.",
  },
  "storage-unavailable": {
    title: "Storage unavailable",
    detail: () =>
      "The server's storage does not answer, so nothing is acknowledged. Send the request again later.",
    headers: { "Retry-After": "5" },
  },
  overloaded: {
    title: "Overloaded",
    detail: () => "The server has too much to do. Send the request again in a moment.",
    headers: { "Retry-After": "1" },
  },
  stopping: {
    title: "Stopping",
    detail: () => "The server is shutting down. Send the request again in a moment.",
    headers: { "Retry-After": "1" },
  },
  "quota-exceeded": {
    title: "Quota exceeded",
    detail: ({ message }) => `${message}. Nothing was stored. Ask the operator to raise the quota.`,
  },
};

/** Any other error: the answer says only that the server failed. */
const UNEXPECTED: ProblemError = new Problem("internal-error");

/** The error to answer with. */
export function problemOf(error: unknown): ProblemError {
  return isProblemError(error) ? error : UNEXPECTED;
}

/**
 * The reply to a request that failed with an error.
 *
 * @param time milliseconds of Unix time: a client whose clock is off signs by it
 */
export function problemReply(error: ProblemError, time: () => number): Reply {
  const { code, members, headers, retryAfter, rate, user, covers } = error;
  const status = PROBLEMS[code];
  const row = ROWS[code];
  const detail = error.detail ?? row.detail(error);
  const document = {
    type: `${PROBLEM_URN}${code}`,
    title: row.title,
    status,
    detail,
    ...members,
  };
  return {
    status,
    headers: {
      "Content-Type": PROBLEM_TYPE,
      "Cache-Control": "no-store",
      ...row.headers,
      ...headers,
      ...rateFields(rate),
      ...(retryAfter !== undefined && { "Retry-After": String(retryAfter) }),
      ...(user !== undefined && {
        "Accept-Signature": acceptSignature(user, covers),
        Date: new Date(time()).toUTCString(),
      }),
    },
    body: `${JSON.stringify(document)}\n`,
  };
}

/** True for an error of this shape: a `code` of the system, such as ENOENT, is no type of problem. */
function isProblemError(error: unknown): error is ProblemError {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "string" &&
    isProblemType(error.code)
  );
}
