/** How a request to the server can fail. */

export interface UnavailableOptions extends ErrorOptions {
  readonly retryAfter?: number;
  readonly limited?: boolean;
}

/** The server did not answer, or not to the end, or said that it cannot now. Ask again later. */
export class ServerUnavailable extends Error {
  override name = "Unavailable";
  /** How long to wait at least, in milliseconds. */
  readonly retryAfter: number;
  /** Whether it is only that too much was asked in too short a time. */
  readonly limited: boolean;
  constructor(message: string, options: UnavailableOptions = {}) {
    super(message, options);
    this.retryAfter = options.retryAfter ?? 0;
    this.limited = options.limited ?? false;
  }
}

/** The server has refused a request, and would again. The message is for a person. */
export class ServerRejected extends Error {
  override name = "Refused";
  readonly status: number;
  /** The kind of problem, such as `operation-gap`; empty if the answer names none. */
  readonly type: string;
  /** Further members of the problem. */
  readonly members: Readonly<Record<string, unknown>>;
  constructor(status: number, problem: Readonly<Record<string, unknown>>) {
    const { type, detail } = problem;
    super(typeof detail === "string" ? detail : `the server answered with status ${status}`);
    this.status = status;
    this.type = typeof type === "string" ? (type.split(":").at(-1) ?? "") : "";
    this.members = problem;
  }
}
