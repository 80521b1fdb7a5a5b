/** Errors as RFC 9457 `application/problem+json`. */
import { PROBLEM_TYPE, PROBLEM_URN, PROBLEMS, type ProblemType } from "../../protocol/problems.ts";
import type { Reply } from "./response.ts";

export interface ProblemOptions {
  readonly type: ProblemType;
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
  const { type, detail, members, headers } = problem;
  const { status, title } = PROBLEMS[type];
  const document = { type: `${PROBLEM_URN}${type}`, title, status, detail, ...members };
  return {
    status,
    headers: {
      "Content-Type": PROBLEM_TYPE,
      "Cache-Control": "no-store",
      ...headers,
    },
    body: `${JSON.stringify(document)}\n`,
  };
}
