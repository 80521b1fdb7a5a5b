/** of PROTOCOL.md: who is on the list of users, who enters it by an invite, and who is a guest. */
import { randomBytes } from "node:crypto";
import { type Account, newClient, type SendOptions } from "../account.ts";
import type { Answer } from "../answer.ts";
import type { Case } from "../case.ts";
import { holds, same } from "../checks.ts";
import { COMPONENTS } from "../signing.ts";

/** Asks for what is stored of a user, with the code of an invite. */
const pollWith = (user: Account, invite: string) =>
  user.post({ client_id: newClient() }, { invite });

/** Asks for what is stored of a user, and has a key let in. */
const pollFor = (user: Account, guest: string, options: SendOptions = {}) =>
  user.post({ client_id: newClient() }, { guest, ...options });

/** The name of a key that nobody has. */
const newName = () => randomBytes(32).toString("base64url");

/** How many guests a user may have let in within an hour. */
const GUESTS = 6;

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
  {
    rule: "R-11.19",
    says: "accepts a guest once a user on its list has signed for it, who lets in nobody then",
    async run(server) {
      server.needList();
      const [user, guest] = [await server.sharedUser(), await server.newOutsider()];
      same("whether a key is accepted before it is a guest", await isListed(guest), false);
      (await pollFor(user, guest.fingerprint)).accepted("a request that lets in a guest");
      (await pollFor(user, guest.fingerprint)).accepted("the same, sent again");
      await guest.append(newClient(), 0, "x");
      const next = await pollFor(guest, newName());
      next.refused("user-not-allowed", "a request by which a guest lets in another");
    },
  },
  {
    rule: "R-11.20",
    says: "takes nothing but a fingerprint as the name of a guest",
    async run(server) {
      server.needList();
      const user = await server.sharedUser();
      for (const name of ["x", `${newName()}x`, newName().slice(1)]) {
        (await pollFor(user, name)).refused("invalid-request", "what is no fingerprint");
      }
    },
  },
  {
    rule: "R-11.20",
    says: "wants a signature that covers the guest, and says so",
    async run(server) {
      server.needList();
      const [user, guest] = [await server.sharedUser(), await server.newOutsider()];
      const unsigned = await pollFor(user, guest.fingerprint, { signed: false });
      unsigned.refused("signature-required", "a guest in an unsigned request");
      const deviations = { components: COMPONENTS };
      const uncovered = await pollFor(user, guest.fingerprint, { deviations });
      uncovered.refused("signature-invalid", "a guest whom the signature does not cover", {
        check: "components",
      });
      for (const { headers } of [unsigned, uncovered]) {
        const accepted = headers.get("accept-signature") ?? "";
        holds(accepted.includes('"sync-guest"'), `Accept-Signature is ${accepted}`);
      }
      same("whether the key is accepted then", await isListed(guest), false);
    },
  },
  {
    rule: "R-11.21",
    says: "lets in six guests of a user within an hour, each once",
    async run(server) {
      server.needList();
      const user = await server.newUser();
      for (let i = 0; i < GUESTS; i++) {
        const name = newName();
        (await pollFor(user, name)).accepted(`a request that lets in guest ${i + 1}`);
        (await pollFor(user, name)).accepted("the same, sent again");
      }
      const answer = await pollFor(user, newName(), { isOnce: true });
      answer.refused("rate-limited", "a request that lets in one guest more");
      same("the RateLimit of that", answer.headers.get("ratelimit"), null);
    },
  },
];
