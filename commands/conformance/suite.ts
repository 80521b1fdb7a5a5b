/** Tries the cases of the protocol suite on a server, one after the other. */
import { LINES_TYPE, SYNC_PATH } from "../../protocol/limits.ts";
import { newClient } from "./account.ts";
import { type Answer, membersOf } from "./answer.ts";
import type { Case, Rule } from "./case.ts";
import { Broken, CannotTry } from "./checks.ts";
import { NoAnswer, NotNow } from "./sending.ts";
import type { TestedServer } from "./tested-server.ts";

export interface Result {
  readonly rule: Rule;
  /** What a server does by the rule. */
  readonly case: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** What the server does instead, or why it could not be tried. */
  readonly why?: string;
}

/** There is no server to try, or none any more, or it lets the suite do nothing. The message says what to do. */
export class NothingToTry extends Error {
  override name = "NothingToTry";
}

/** Asks the server, to see whether it is one that can be tried. Throws `NothingToTry`. */
export async function look(server: TestedServer): Promise<void> {
  const outsider = await server.newOutsider();
  const { href } = server.url;
  const body = JSON.stringify({ user: outsider.base64, client_id: newClient() });
  try {
    const answer = await server.sendOnce({ body });
    const reason = unusable(answer, href, server.hasInvites);
    if (reason !== undefined) throw new NothingToTry(reason);
    server.acceptsUnsigned = answer.status === 200;
    // A user on the list has entered it by a signed request.
    server.hasList = answer.status === 403;
    const { status, headers, text } = server.hasList
      ? await server.enter(outsider)
      : await (await server.sharedUser()).post({ client_id: newClient() });
    const reasonOfSigned =
      status === 401 ? mismatch(membersOf(text), headers, server.url) : undefined;
    if (reasonOfSigned !== undefined) throw new NothingToTry(reasonOfSigned);
  } catch (error) {
    if (!(error instanceof Broken) && !(error instanceof CannotTry)) throw error;
    throw new NothingToTry(`${href}: ${error.message}.`, { cause: error });
  }
}

/** Why nothing can be tried where an unsigned request is answered so. */
function unusable(answer: Answer, href: string, hasInvites: boolean): string | undefined {
  const { status, headers } = answer;
  const type = headers.get("content-type");
  if (status === 200 && type === LINES_TYPE) return undefined;
  if (status === 401 && answer.isProblem("signature-required")) return undefined;
  if (status === 403 && answer.isProblem("user-not-allowed")) {
    if (hasInvites) return undefined;
    return (
      "The server has a list of users, and the suite makes new ones: make invites for them by sync-server " +
      "users invite --count 60, and pass the file with the codes as --invites."
    );
  }
  const place = headers.get("location");
  if (status >= 300 && status < 400 && place !== null) {
    return `${href} leads to ${place}: give that address.`;
  }
  if (status === 404) {
    const isTwice = href.endsWith(SYNC_PATH + SYNC_PATH);
    return `There is nothing at ${href}${isTwice ? `: give the address without ${SYNC_PATH}` : ""}.`;
  }
  const what = answer.isProblem("new-users-limited")
    ? "it takes no more new users from this address for now"
    : "it is no sync server, or a proxy does not reach one";
  return `${href} answers with ${answer} (${type ?? "no Content-Type"}): ${what}.`;
}

/** Why no signature can be right, where one that is made as it should be is refused so. */
function mismatch(
  { check, authority, path }: Readonly<Record<string, unknown>>,
  headers: Headers,
  { host, pathname }: URL,
): string | undefined {
  if (typeof authority === "string" && `${authority}${path}` !== `${host}${pathname}`) {
    return (
      `The server checks signatures for ${authority}${path}, and not for ${host}${pathname}: have the ` +
      "proxy pass on Host, or set PUBLIC_URL; sync-server doctor says more."
    );
  }
  if (check !== "clock") return undefined;
  const seconds = Math.round(Math.abs(Date.now() - Date.parse(headers.get("date") ?? "")) / 1000);
  return `The clocks of the server and of this machine are ${seconds} seconds apart: set them right.`;
}

/** Throws `NothingToTry` where nothing answers any more. */
async function checkThere(server: TestedServer, rule: Rule): Promise<void> {
  let why = "";
  try {
    const answer = await server.sendOnce({ method: "GET" });
    if (answer.status < 500) return;
    why = `it answers with ${answer}`;
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    why = error.message;
  }
  throw new NothingToTry(`The server stopped answering at ${rule}: ${why}. Run it again.`);
}

/** Ends early where the server says to stop. Throws `NothingToTry` where nothing answers any more. */
export async function* tryEach(
  cases: readonly Case[],
  server: TestedServer,
): AsyncGenerator<Result, void, void> {
  for (const { rule, says, run } of cases) {
    if (server.signal.aborted) return;
    const error = await errorOf(run(server));
    // What was under way was ended.
    if (server.signal.aborted) return;
    if (error === undefined) yield { rule, case: says, outcome: "passed" };
    else {
      if (error instanceof NoAnswer || error instanceof NotNow) await checkThere(server, rule);
      const outcome = error instanceof Broken ? "failed" : "skipped";
      yield { rule, case: says, outcome, why: error.message };
    }
  }
}

async function errorOf(running: Promise<void>): Promise<Broken | CannotTry | undefined> {
  try {
    await running;
    return undefined;
  } catch (error) {
    if (error instanceof Broken || error instanceof CannotTry) return error;
    throw error;
  }
}
