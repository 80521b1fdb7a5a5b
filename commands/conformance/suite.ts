/** Tries the cases of the protocol suite on a server, one after the other. */
import { newClient } from "./account.ts";
import { Broken, CannotTry, type Case, type Rule } from "./case.ts";
import type { TestedServer } from "./tested-server.ts";

export interface Result {
  readonly rule: Rule;
  /** What a server does by the rule. */
  readonly case: string;
  readonly outcome: "passed" | "failed" | "skipped";
  /** What the server does instead, or why it could not be tried. */
  readonly why?: string;
}

/** There is no server to try, or it lets the suite do nothing. The message says what to do. */
export class NothingToTry extends Error {
  override name = "NothingToTry";
}

/** Asks the server once, to see whether it is one. Throws `NothingToTry`. */
export async function look(server: TestedServer): Promise<void> {
  const user = await server.newUser();
  const { href } = server.url;
  try {
    const { status, headers } = await user.post({ client_id: newClient() }, { signed: false });
    server.acceptsUnsigned = status !== 401;
    if (status === 404) throw new NothingToTry(`There is nothing at ${href}.`);
    if (status === 403) {
      throw new NothingToTry(
        "The server has a list of its users, and the suite makes new ones: try a server without USERS.",
      );
    }
    if (status >= 300 && status < 400) {
      throw new NothingToTry(`${href} leads to ${headers.get("location")}: give that address.`);
    }
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    throw new NothingToTry(`${href}: ${error.message}`, { cause: error });
  }
}

/** Ends early where the server says to stop. */
export async function* tryEach(
  cases: readonly Case[],
  server: TestedServer,
): AsyncGenerator<Result, void, void> {
  for (const { rule, says, run } of cases) {
    if (server.signal.aborted) return;
    yield { rule, case: says, ...(await outcomeOf(run(server))) };
  }
}

async function outcomeOf(running: Promise<void>): Promise<Pick<Result, "outcome" | "why">> {
  try {
    await running;
    return { outcome: "passed" };
  } catch (error) {
    if (error instanceof Broken) return { outcome: "failed", why: error.message };
    if (error instanceof CannotTry) return { outcome: "skipped", why: error.message };
    throw error;
  }
}
