/** of PROTOCOL.md: who is on the list of users, and how an invite lets a user enter it. */
import { type Account, newClient } from "../account.ts";
import type { Answer } from "../answer.ts";
import type { Case } from "../case.ts";
import { holds, same } from "../checks.ts";
import { COMPONENTS } from "../signing.ts";

/** Asks for what is stored of a user, with the code of an invite. */
const pollWith = (user: Account, invite: string) =>
  user.post({ client_id: newClient() }, { invite });

const isListed = async (user: Account) =>
  (await user.post({ client_id: newClient() })).status === 200;

/** Throws `Broken` unless an invite is refused, for this reason. */
function refused(answer: Answer, reason: string, { fingerprint }: Account): void {
  answer.refused("invite-refused", `an invite that is ${reason}`, { reason, fingerprint });
}

export const INVITES: readonly Case[] = [
  {
    rule: "R-11.12",
    says: "refuses each request of a user who is not on its list, and names the fingerprint",
    async run(server) {
      server.needList();
      const user = await server.newOutsider();
      const { fingerprint } = user;
      const poll = { client_id: newClient() };
      const append = { ...poll, operation_index: 0, payload: "x" };
      for (const answer of [await user.post(poll), await user.post(append), await user.erase()]) {
        answer.refused("user-not-allowed", "a request of a user who is not listed", {
          fingerprint,
        });
      }
    },
  },
  {
    rule: "R-11.15",
    says: "puts a user on its list by an invite, for good, also where it refuses the request itself",
    async run(server) {
      server.needList();
      const user = await server.newOutsider();
      const append = { client_id: newClient(), operation_index: 7, payload: "x" };
      const answer = await user.post(append, { invite: server.nextInvite() });
      answer.refused("operation-gap", "an append with an invite, and with a gap");
      same("whether the user is on the list then", await isListed(user), true);
    },
  },
  {
    rule: "R-11.16",
    says: "uses up no invite by a DELETE, nor by a user who is on the list",
    async run(server) {
      server.needList();
      const [user, listed] = [await server.newOutsider(), await server.sharedUser()];
      const invite = server.nextInvite();
      (await user.erase({ invite })).refused("user-not-allowed", "a DELETE with an invite");
      (await pollWith(listed, invite)).accepted("an invite of a user who is on the list");
      (await pollWith(user, invite)).accepted("the invite of a new user after that");
      (await pollWith(user, invite)).accepted("the invite that the user has used");
    },
  },
  {
    rule: "R-11.17",
    says: "refuses an invite that is unknown or used, and admits one of several users by it",
    async run(server) {
      server.needList();
      const users = [await server.newOutsider(), await server.newOutsider()];
      const [first, second] = users;
      if (first === undefined || second === undefined) return;
      refused(await pollWith(first, "no-code-of-an-invite"), "unknown", first);
      const invite = server.nextInvite();
      const answers = await Promise.all(users.map((user) => pollWith(user, invite)));
      const admitted = answers.filter(({ status }) => status === 200).length;
      same("how many of two users are admitted by one invite", admitted, 1);
      for (const [i, user] of users.entries()) {
        const answer = answers[i];
        if (answer?.status !== 200 && answer !== undefined) refused(answer, "used", user);
      }
    },
  },
  {
    rule: "R-11.17",
    says: "wants a signature that covers the invite, and says so",
    async run(server) {
      server.needList();
      const user = await server.newOutsider();
      const invite = server.nextInvite();
      const poll = { client_id: newClient() };
      const unsigned = await user.post(poll, { invite, signed: false });
      unsigned.refused("signature-required", "an invite in an unsigned request");
      const deviations = { components: COMPONENTS };
      const uncovered = await user.post(poll, { invite, deviations });
      uncovered.refused("signature-invalid", "an invite that the signature does not cover", {
        check: "components",
      });
      for (const { headers } of [unsigned, uncovered]) {
        const accepted = headers.get("accept-signature") ?? "";
        holds(accepted.includes('"sync-invite"'), `Accept-Signature is ${accepted}`);
      }
      (await pollWith(user, invite)).accepted("the invite after that");
    },
  },
];
