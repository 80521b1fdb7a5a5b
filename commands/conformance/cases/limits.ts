/** of PROTOCOL.md: how much a user may ask for. */
import { setTimeout } from "node:timers/promises";
import { type Account, newClient, type SendOptions } from "../account.ts";
import { type Answer, placesOf } from "../answer.ts";
import type { Case } from "../case.ts";
import { Broken, CannotTry, holds, same } from "../checks.ts";

/** So many tokens are taken, and no more: that takes seconds. */
const MOST_TOKENS = 1000;
const AT_ONCE = 16;

const policyOf = ({ headers }: Answer) => headers.get("ratelimit-policy");
const rateOf = ({ headers }: Answer) => headers.get("ratelimit");

const poll = (user: Account, options: SendOptions = {}) =>
  user.post({ client_id: newClient() }, { isOnce: true, ...options });

/** A full bucket, in tokens. Throws `CannotTry` where there is none, and `Broken` where it is said otherwise. */
function tokensIn(answer: Answer): number {
  if (policyOf(answer) === null && rateOf(answer) === null) {
    throw new CannotTry("the server has no rate limit");
  }
  const [, most] = /^"user";q=(\d{1,15});w=\d{1,15}$/.exec(policyOf(answer) ?? "") ?? [];
  if (most === undefined) throw new Broken(`RateLimit-Policy is ${policyOf(answer)}`);
  return Number(most);
}

/** Takes all tokens of a user, of whom something is stored. Resolves with the 429 that says so. */
async function exhaust(user: Account, options: SendOptions = {}): Promise<Answer> {
  const most = tokensIn(await poll(user, options));
  if (most > MOST_TOKENS) throw new CannotTry(`a user has ${most} tokens`);
  // Meanwhile it gains some.
  for (let sent = 0; sent < 4 * most; sent += AT_ONCE) {
    const answers = await Promise.all(Array.from({ length: AT_ONCE }, () => poll(user, options)));
    const refused = answers.find(({ status }) => status === 429);
    if (refused !== undefined) return refused;
  }
  throw new CannotTry("requests come too slowly from here to take all tokens of a user");
}

/** The seconds after which a 429 says that a request is accepted. */
function retryAfter(answer: Answer): number {
  answer.refused("rate-limited", "a request of a user without a token");
  const seconds = answer.headers.get("retry-after") ?? "";
  holds(/^[1-9]\d{0,8}$/.test(seconds), `Retry-After of a 429 is "${seconds}"`);
  return Number(seconds);
}

export const LIMITS: readonly Case[] = [
  {
    rule: "R-11.4",
    says: "takes no tokens for unsigned requests from a user who signs",
    async run(server) {
      server.needUnsigned();
      const user = await server.newUser();
      const append = { client_id: newClient(), operation_index: 0, payload: "x" };
      (await user.post(append, { signed: false })).accepted("an unsigned append");
      await exhaust(user, { signed: false });
      (await poll(user)).accepted("a signed request of a user without tokens for unsigned ones");
    },
  },
  {
    rule: "R-11.7",
    says: "says how many tokens are left",
    async run(server) {
      const answer = await poll(await server.sharedUser());
      const most = tokensIn(answer);
      const [, left = ""] = /^"user";r=(\d{1,15});t=\d{1,15}$/.exec(rateOf(answer) ?? "") ?? [];
      holds(left !== "" && Number(left) <= most, `RateLimit is ${rateOf(answer)} of ${most}`);
    },
  },
  {
    rule: "R-11.8",
    says: "refuses a user without a token, stores nothing of that, and says when it takes a request",
    async run(server) {
      const user = await server.newUser();
      await user.append(newClient(), 0, "x");
      for (let tries = 0; tries < 5; tries++) {
        await exhaust(user);
        // Several: meanwhile it has gained some tokens.
        const clients = Array.from({ length: AT_ONCE }, newClient);
        const answers = await Promise.all(
          clients.map((client_id) =>
            user.post({ client_id, operation_index: 0, payload: "x" }, { isOnce: true }),
          ),
        );
        const refused = clients.filter((_, i) => answers[i]?.status === 429);
        const answer = answers.find(({ status }) => status === 429);
        if (answer === undefined) continue;
        await setTimeout(1000 * retryAfter(answer));
        const next = await poll(user);
        next.accepted("a request after Retry-After");
        const stored = next.lines.filter(({ client_id }) => refused.includes(client_id));
        same("what is stored by appends with a 429", placesOf(stored), []);
        return;
      }
      throw new CannotTry("a user without tokens has gained some each time");
    },
  },
];
