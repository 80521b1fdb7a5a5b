/** An answer of the server under test, read to its end. */
import { isClientId } from "../../protocol/ids.ts";
import { LINES_TYPE, OPERATION_COUNT } from "../../protocol/limits.ts";
import { PROBLEM_TYPE, PROBLEM_URN, PROBLEMS, type ProblemType } from "../../protocol/problems.ts";
import { Broken, clipped, holds, same } from "./checks.ts";

/** A line of an answer, as its place in the log and what else is in it. */
export interface Line {
  readonly client_id: string;
  readonly operation_index: number;
  readonly payload: string;
  readonly snapshot?: unknown;
}

export class Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;

  constructor(status: number, headers: Headers, text: string) {
    this.status = status;
    this.headers = headers;
    this.text = text;
  }

  /** The lines of a 200. Throws `Broken` where that is not what the answer is. */
  get lines(): Line[] {
    this.accepted();
    holds(this.text === "" || this.text.endsWith("\n"), "the last line has no line feed");
    const lines = this.text.split("\n").slice(0, -1).map(lineOf);
    same(OPERATION_COUNT, this.headers.get(OPERATION_COUNT), String(lines.length));
    return lines;
  }

  /** The members of a problem document. Throws `Broken` where there is none. */
  get problem(): Readonly<Record<string, unknown>> {
    same("Content-Type", this.headers.get("content-type"), PROBLEM_TYPE);
    return membersOf(this.text);
  }

  /** Whether the body is a problem of a type. */
  isProblem(type: ProblemType): boolean {
    const isDocument = this.headers.get("content-type") === PROBLEM_TYPE;
    return isDocument && this.text.includes(`"${PROBLEM_URN}${type}"`);
  }

  /** Throws `Broken` unless this is a 200 with lines. */
  accepted(what = "a request"): void {
    if (this.status === 200) same("Content-Type", this.headers.get("content-type"), LINES_TYPE);
    else throw new Broken(`${what} is answered with ${this}, not with 200`);
  }

  /** Throws `Broken` unless this is a problem of a type, with these members. */
  refused(
    type: ProblemType,
    what = "a request",
    members: Readonly<Record<string, unknown>> = {},
  ): void {
    const status = PROBLEMS[type];
    if (this.status !== status) {
      throw new Broken(`${what} is answered with ${this}, not with ${status} ${type}`);
    }
    const { problem } = this;
    same(`the type of the answer to ${what}`, problem.type, PROBLEM_URN + type);
    for (const [name, value] of Object.entries(members)) same(name, problem[name], value);
  }

  /** For a person: the status, and what problem it is. */
  toString(): string {
    const [, type] = /^\{"type":"urn:sync-server:([a-z-]{1,40})"/.exec(this.text) ?? [];
    return type === undefined ? `${this.status}` : `${this.status} ${type}`;
  }
}

function lineOf(text: string): Line {
  const { client_id, operation_index, payload, snapshot } = membersOf(text);
  if (
    !isClientId(client_id) ||
    typeof operation_index !== "number" ||
    typeof payload !== "string"
  ) {
    throw new Broken(`a line is ${clipped(text)}`);
  }
  return { client_id, operation_index, payload, ...(snapshot !== undefined && { snapshot }) };
}

/** The members of a JSON object. Throws `Broken` for any other text. */
export function membersOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null) return { ...value };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  throw new Broken(`this is no JSON object: ${clipped(text)}`);
}

/** Where the operations of lines are: the client and the index of each. */
export function placesOf(lines: readonly Line[]): [string, number][] {
  return lines.map(({ client_id, operation_index }) => [client_id, operation_index]);
}

/** The payloads of a client's operations, in their order. */
export function payloadsOf(lines: readonly Line[], client: string): string[] {
  return lines.filter(({ client_id }) => client_id === client).map(({ payload }) => payload);
}
