/** Errors as RFC 9457 `application/problem+json`. */
import type { Reply } from "./response.ts";

export interface ProblemOptions {
  readonly status: number;
  /** Names the kind of problem, for programs; see PROTOCOL.md. */
  readonly type: string;
  readonly title: string;
  /** What was wrong here and what to do, for a person. */
  readonly detail: string;
  /** Further members of the document. */
  readonly members?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Thrown to answer a request with a problem. */
export class Problem extends Error {
  override name = "Problem";
  readonly options: ProblemOptions;
  constructor(options: ProblemOptions) {
    super(options.detail);
    this.options = options;
  }
}

/** The reply that says it. */
export function problemReply(problem: ProblemOptions): Reply {
  const { status, type, title, detail, members, headers } = problem;
  const document = { type: `urn:sync-server:${type}`, title, status, detail, ...members };
  return {
    status,
    headers: {
      "Content-Type": "application/problem+json",
      "Cache-Control": "no-store",
      ...headers,
    },
    body: `${JSON.stringify(document)}\n`,
  };
}
