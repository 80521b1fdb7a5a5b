/** The errors of the client. */
import { isProblemType, PROBLEMS, type ProblemType } from "../protocol/problems.ts";

/** The most characters of a server's text that are shown. */
const MAX_PRINTED = 500;

/** Failures without an answer of the server that the protocol describes. */
export type TransportCode =
  /** There was no connection, or it broke before the answer. */
  | "unreachable"
  /** The server sent nothing for too long. */
  | "idle-timeout"
  /** The answer ended too early. */
  | "incomplete-response"
  /** The answer is not as the protocol says: it may be that of a proxy. */
  | "invalid-response"
  /** The signature was refused because of its time: one of the two clocks is wrong. */
  | "clock-skew"
  /** A status without a problem of this protocol; the message names it. */
  | "http-error";

/** What went wrong with a request: a problem of PROTOCOL.md, or a failure on the way. */
export type ErrorCode = ProblemType | TransportCode;

/** Statuses that have one meaning, also when a proxy answers without a problem document. */
const BY_STATUS: Readonly<Record<number, ProblemType>> = {
  408: "request-timeout",
  413: "body-too-large",
  429: "rate-limited",
  507: "quota-exceeded",
};

/** The code for an answer other than 2xx. A problem type counts if its status agrees. */
export function errorCodeOf(status: number, problem: Readonly<Record<string, unknown>>): ErrorCode {
  const name = typeof problem.type === "string" ? problem.type.split(":").at(-1) : undefined;
  if (name !== undefined && isProblemType(name) && PROBLEMS[name] === status) return name;
  return BY_STATUS[status] ?? "http-error";
}

/**
 * The server did not answer, or not completely, or cannot answer now. A retry may succeed. The
 * message is a sentence for a person.
 */
export class ServerUnavailable extends Error {
  override name = "ServerUnavailable";
  readonly code: ErrorCode;
  /** The milliseconds that the server asks to wait before the next request; 0 if it does not. */
  readonly retryAfter: number;

  constructor(
    message: string,
    code: ErrorCode = "unreachable",
    options: ErrorOptions & { readonly retryAfter?: number } = {},
  ) {
    super(message, options);
    this.code = code;
    this.retryAfter = options.retryAfter ?? 0;
  }

  /** True when the server only limits the rate of requests or of new users. */
  get limited(): boolean {
    return this.code === "rate-limited" || this.code === "new-users-limited";
  }
}

/** An answer of this kind may be that of a proxy. The same request may succeed later. */
export function invalidResponse(what: string): ServerUnavailable {
  const message = `the answer is not as the protocol says: ${what}`;
  return new ServerUnavailable(message, "invalid-response");
}

/** The server refused a request, and would refuse it again. The message is for a person. */
export class ServerRejected extends Error {
  override name = "ServerRejected";
  readonly code: ErrorCode;
  /** The HTTP status. */
  readonly status: number;
  /** The members of the problem document, such as `next_index`; see PROTOCOL.md. */
  readonly members: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    problem: Readonly<Record<string, unknown>>,
    message = messageOf(status, problem),
    code = errorCodeOf(status, problem),
  ) {
    super(message);
    this.code = code;
    this.status = status;
    this.members = problem;
  }
}

/** Either failure of a request. */
export type ServerError = ServerRejected | ServerUnavailable;

/** The sentence of a problem document, as the server's words; or one that names the status. */
export function messageOf(status: number, { detail }: Readonly<Record<string, unknown>>): string {
  if (typeof detail === "string") return `the server says: ${printed(detail)}`;
  const advice =
    status < 500 ? "check the address" : "it may be down, or a proxy does not reach it";
  return `the server answered with status ${status}: ${advice}`;
}

/** A text of the server to be shown: short, on one line, with nothing that changes its order. */
export function printed(text: string): string {
  return text.slice(0, MAX_PRINTED).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\ufffd");
}

/** The text of a key or the passphrase is not right. The message is for the person who typed it. */
export class InvalidKey extends Error {
  override name = "InvalidKey";
}

/** A store does not hold what was written to it. Nothing in it can be trusted. */
export class StoreDamaged extends Error {
  override name = "StoreDamaged";
}

/** An operation that a store has, and not as it was written. */
export function unreadableAt(client: string, index: number): StoreDamaged {
  return new StoreDamaged(`operation ${index} of ${client} cannot be read`);
}
