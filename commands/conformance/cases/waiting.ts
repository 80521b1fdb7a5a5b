/** Section 6 of PROTOCOL.md, from on: requests that wait for news. */
import { setTimeout } from "node:timers/promises";
import { PREFER, PREFERENCE_APPLIED } from "../../../protocol/limits.ts";
import { type Account, newClient } from "../account.ts";
import { type Answer, placesOf } from "../answer.ts";
import type { Case } from "../case.ts";
import { CannotTry, holds, same } from "../checks.ts";
import type { TestedServer } from "../tested-server.ts";

/** After so many milliseconds a request that was sent is at the server: if not, less is tried. */
const ARRIVAL_MS = 300;

/** Longer than what brings the news takes, and shorter than proxies are silent. */
const LONG = 25;

const applied = ({ headers }: Answer) => headers.get(PREFERENCE_APPLIED);

/** A user with one operation, on a server that waits. Throws `CannotTry` if it does not. */
async function begin(server: TestedServer): Promise<{ user: Account; client: string }> {
  const user = await server.newUser();
  const client = newClient();
  await user.append(client, 0, "zero");
  const answer = await user.wait(0, { sync_status: { [client]: 0 } });
  answer.accepted("a request that prefers to wait");
  if (applied(answer) === null) throw new CannotTry("the server does not wait");
  return { user, client };
}

/** Gives requests that wait the time to arrive. Throws `Broken` where one is answered without news. */
async function arrived(...waiting: readonly Promise<Answer>[]): Promise<void> {
  const answer = await Promise.race([...waiting, setTimeout(ARRIVAL_MS)]);
  holds(answer === undefined, "a request that waits is answered before there is news");
}

export const WAITING: readonly Case[] = [
  {
    rule: "R-6.13",
    says: "holds an answer back until there is news for the reader",
    async run(server) {
      const { user, client } = await begin(server);
      const waiting = user.wait(LONG, { sync_status: { [client]: 0 } });
      await arrived(waiting);
      await user.append(client, 1, "one");
      same("the answer to a request that waited", placesOf((await waiting).lines), [[client, 1]]);
    },
  },
  {
    rule: "R-6.13",
    says: "answers with no lines once the time is over",
    async run(server) {
      const { user, client } = await begin(server);
      const began = performance.now();
      const answer = await user.wait(1, { sync_status: { [client]: 0 } });
      same("the lines", placesOf(answer.lines), []);
      // Timers may be a little early.
      same("whether it has waited", performance.now() - began > 900, true);
    },
  },
  {
    rule: "R-6.14",
    says: "says for how long it waits, also in an answer that comes at once",
    async run(server) {
      const { user, client } = await begin(server);
      const lines = await user.wait(LONG, {});
      same("with lines", [placesOf(lines.lines), applied(lines)], [[[client, 0]], `wait=${LONG}`]);
      const known = { sync_status: { [client]: 0 } };
      const append = { ...known, operation_index: 0, payload: "other" };
      same("with a payload", applied(await user.wait(LONG, append)), `wait=${LONG}`);
      const none = await user.wait(0, { sync_status: { [client]: 0 } });
      same("with no seconds", applied(none), "wait=0");
    },
  },
  {
    rule: "R-6.15",
    says: "answers a request that waits as it would a new one, where its user is deleted meanwhile",
    async run(server) {
      const { user, client } = await begin(server);
      const waiting = user.wait(LONG, { sync_status: { [client]: 0 } });
      await arrived(waiting);
      same("the answer to a DELETE", (await user.erase()).status, 204);
      (await waiting).refused("user-erased", "a request that waited for a user who was deleted");
    },
  },
  {
    rule: "R-6.17",
    says: "takes for news what the sender has appended by another request, unless it says that it knows",
    async run(server) {
      const { user, client } = await begin(server);
      const members = { client_id: client, operation_index: 0 };
      const waiting = user.wait(LONG, members);
      const aware = user.wait(1, { ...members, sync_status: { [client]: 1 } });
      await arrived(waiting, aware);
      await user.append(client, 1, "one");
      same("the answer to one that does not", placesOf((await waiting).lines), [[client, 1]]);
      same("the answer to one that does", placesOf((await aware).lines), []);
    },
  },
  {
    rule: "R-6.18",
    says: "checks a signature when a request arrives, and not again when it has waited",
    async run(server) {
      const { user, client } = await begin(server);
      const expires = Math.ceil(Date.now() / 1000) + 2;
      const signed = { headers: { [PREFER]: "wait=4" }, deviations: { expires } };
      const poll = { client_id: newClient(), sync_status: { [client]: 0 } };
      const began = performance.now();
      const answer = await user.post(poll, signed);
      // Before the end of the wait: it had expired when it arrived.
      if (performance.now() - began < 3500 && answer.isProblem("signature-invalid")) {
        throw new CannotTry(
          "a request takes seconds from here, or the two clocks are seconds apart",
        );
      }
      answer.accepted("a request whose signature has expired while it waited");
    },
  },
  {
    rule: "R-6.19",
    says: "ignores a Prefer that is malformed or something else, and counts the first wait of several",
    async run(server) {
      const { user, client } = await begin(server);
      const known = { sync_status: { [client]: 0 } };
      for (const prefer of ["wait=soon", "wait", "respond-async", "=,;"]) {
        const answer = await user.wait(prefer, known);
        same(`the lines with Prefer: ${prefer}`, placesOf(answer.lines), []);
        same(`${PREFERENCE_APPLIED} with Prefer: ${prefer}`, applied(answer), null);
      }
      const several = await user.wait("respond-async, wait=0, wait=50", known);
      same(`${PREFERENCE_APPLIED} of several`, applied(several), "wait=0");
    },
  },
];
