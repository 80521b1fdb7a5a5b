/** A server that does one thing otherwise than PROTOCOL.md says, in front of one that does all as it says. */
import { Buffer } from "node:buffer";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Rule } from "../../commands/conformance/case.ts";
import { conformanceWith } from "../../commands/conformance/conformance.ts";
import { users as userList } from "../../commands/users/users.ts";
import { readConfig } from "../../server/config.ts";
import { createLogger } from "../../server/logger.ts";
import { createHandler } from "../../server.ts";
import { MemoryDriver } from "../../storage/memory.ts";
import { jsonOf, runCommand } from "./commands.ts";
import { anotherKey } from "./conformance.ts";
import { temporaryFolder } from "./folder.ts";
import { type SigningUser, signedHeaders, signingUserOf } from "./signing.ts";

/** A JSON object, of a request or of a problem. */
export type Members = Record<string, unknown>;

/** A request on its way, whose answer the fault gives or alters. */
export interface Passing {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly headers: Headers;
  /** The body as it came. */
  readonly text: string;
  /** Its members; none where it is no JSON object. */
  readonly body: Readonly<Members>;
  /** Whether it is a read: a POST without a payload. */
  readonly isRead: boolean;
  /** What the server behind answers, to a request with some changes. Another body is signed anew. */
  readonly pass: (changes?: Changes) => Promise<Reply>;
}

export interface Changes {
  readonly path?: string;
  readonly body?: string | Readonly<Members>;
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

/** An answer, to alter. */
export class Reply {
  status: number;
  readonly headers: Headers;
  text: string;

  constructor(status: number, headers: Headers | Record<string, string>, text: string) {
    this.status = status;
    this.headers = new Headers(headers);
    this.text = text;
  }

  get problem(): Members {
    return this.status >= 400 ? JSON.parse(this.text) : {};
  }

  /** What the problem is, such as `operation-gap`; "" for a success. */
  get type(): string {
    return String(this.problem.type ?? "").replace("urn:sync-server:", "");
  }

  /** Changes members of the problem. */
  amend(members: Readonly<Members>): this {
    this.text = `${JSON.stringify({ ...this.problem, ...members })}\n`;
    return this;
  }

  /** Changes the lines. */
  lines(change: (lines: string[]) => string[]): this {
    const lines = change(this.text.split("\n").slice(0, -1));
    this.text = lines.map((line) => `${line}\n`).join("");
    if (this.status === 200) this.headers.set("Operation-Count", `${lines.length}`);
    return this;
  }

  set(name: string, value: string | undefined): this {
    if (value === undefined) this.headers.delete(name);
    else this.headers.set(name, value);
    return this;
  }
}

export interface Fault {
  readonly rule: Rule;
  /** What the server does, in words that follow "a server that". */
  readonly what: string;
  /** The type of the problem that it takes for none, where that is all it does. */
  readonly takes?: string;
  /** What the server behind it needs for its rule to be tried. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Whether that has a list of users, for which the suite has invites. */
  readonly hasList?: boolean;
  /** Called for each server anew: what a fault remembers is of one. */
  readonly begin: () => (request: Passing) => Reply | Promise<Reply>;
}

/** A 200 without lines. */
export function nothing(): Reply {
  const headers = {
    ...{ "Content-Type": "application/x-ndjson", "Cache-Control": "no-store" },
    ...{ "Operation-Count": "0", "Max-Body": `${MAX_BODY}` },
  };
  return new Reply(200, headers, "");
}

/** A refusal. */
export function refusal(status: number, type: string, members: Members = {}): Reply {
  const problem = {
    type: `urn:sync-server:${type}`,
    title: type,
    status,
    detail: "No.",
    ...members,
  };
  const headers = { "Content-Type": "application/problem+json", "Cache-Control": "no-store" };
  return new Reply(status, headers, `${JSON.stringify(problem)}\n`);
}

const MAX_BODY = 128 * 1024;

/** What the command says of a server with a fault. */
export interface Verdict {
  readonly code: number;
  readonly broken: unknown;
  /** The cases that failed. */
  readonly failed: readonly string[];
  readonly left: unknown;
  /** Why nothing was tried, or not to the end. */
  readonly error: unknown;
}

/** Runs the command on a server with a fault: its rule alone, or another one, or a section. */
export async function tryBroken(
  fault: Fault,
  { rule = fault.rule, ...settings }: Readonly<Record<string, string>> = {},
): Promise<Verdict> {
  if (fault.hasList !== true) return tryWith(fault, rule, settings);
  const folder = temporaryFolder();
  const [users, codes] = [join(folder.path, "users"), join(folder.path, "codes")];
  const { lines } = await runCommand(userList, "", { file: users, count: "60" }, ["invite"]);
  writeFileSync(codes, lines.join("\n"));
  const verdict = await tryWith(fault, rule, { ...settings, USERS: users }, { invites: codes });
  folder.remove();
  return verdict;
}

async function tryWith(
  { begin, settings: needed }: Fault,
  rule: string,
  settings: Readonly<Record<string, string>>,
  given: Readonly<Record<string, string>> = {},
): Promise<Verdict> {
  const config = readConfig({
    ...{ MAX_BODY: `${MAX_BODY}`, NEW_USERS_PER_HOUR: "0", LOG: "silent" },
    ...{ RATE_LIMIT: "100000", RATE_BURST: "100000", COMPACTION: "off" },
    ...needed,
    ...settings,
  });
  const handler = createHandler({
    config,
    driver: new MemoryDriver(),
    logger: createLogger(config.LOG),
  });
  const users = new Map<unknown, SigningUser>();
  const newPrivateKey = async () => {
    const key = await anotherKey();
    const user = await signingUserOf(key);
    users.set(user.base64, user);
    return key;
  };
  const answer = begin();
  const fetch = async (request: Request) => {
    const { status, headers, text } = await answer(await passing(request, handler.fetch, users));
    const isEmpty = status === 204 || text === "";
    return new Response(isEmpty ? null : text, { status, headers });
  };
  const command = conformanceWith({ newPrivateKey, fetch });
  const { code, objects } = await jsonOf(command, "", { rule, ...given }, ["http://sync.example"]);
  const failed = objects.filter(({ outcome }) => outcome === "failed");
  const summary = objects.find((one) => "summary" in one);
  return {
    code,
    broken: summary?.broken,
    failed: failed.map((result) => `${result.rule} ${result.case}`),
    left: summary?.left,
    error: objects.find((one) => "error" in one)?.error,
  };
}

async function passing(
  request: Request,
  fetch: (request: Request) => Promise<Response>,
  users: ReadonlyMap<unknown, SigningUser>,
): Promise<Passing> {
  const { method, headers } = request;
  const bytes = await request.arrayBuffer();
  const text = Buffer.from(bytes).toString();
  const body = membersOf(text);
  const { pathname: path, search: query } = new URL(request.url);
  const pass = async (changes: Changes = {}) => {
    const url = new URL((changes.path ?? path) + query, request.url).href;
    const fields = new Headers(headers);
    const given = changes.body;
    const changed = typeof given === "object" ? JSON.stringify(given) : given;
    const user = users.get(body.user);
    if (changed !== undefined && user !== undefined && headers.has("signature")) {
      const signed = await signedHeaders(user, { url, method, body: changed });
      for (const [name, value] of Object.entries(signed)) fields.set(name, value);
    }
    for (const [name, value] of Object.entries(changes.headers ?? {})) {
      if (value === undefined) fields.delete(name);
      else fields.set(name, value);
    }
    const content = changed ?? bytes;
    const isEmpty = method === "GET" || method === "OPTIONS" || method === "PUT";
    const response = await fetch(
      new Request(url, { method, headers: fields, ...(!isEmpty && { body: content }) }),
    );
    return new Reply(response.status, response.headers, await response.text());
  };
  const isRead = method === "POST" && body.payload === undefined;
  return { method, path, query, headers, text, body, isRead, pass };
}

function membersOf(text: string): Members {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" ? { ...value } : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
