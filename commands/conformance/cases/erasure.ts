/** Section 15 of PROTOCOL.md: a user leaves. */
import { newClient } from "../account.ts";
import { payloadsOf } from "../answer.ts";
import type { Case } from "../case.ts";
import { holds, same } from "../checks.ts";

export const ERASURE: readonly Case[] = [
  {
    rule: "R-15.1",
    says: "deletes a user only by a signed request that names the user and nothing else",
    async run(server) {
      const user = await server.newUser();
      const client = newClient();
      await user.append(client, 0, "x");
      (await user.erase({ signed: false })).refused("signature-required", "an unsigned DELETE");
      const more = JSON.stringify({ user: user.base64, client_id: client });
      const answer = await user.send(more, { method: "DELETE" });
      answer.refused("invalid-request", "a DELETE with client_id");
      same("what is stored then", payloadsOf(await user.read(), client), ["x"]);
    },
  },
  {
    rule: "R-15.2",
    says: "answers a deletion with 204, and the user from then on with 410",
    async run(server) {
      const user = await server.newUser();
      const client_id = newClient();
      await user.append(client_id, 0, "x");
      const { status, text } = await user.erase();
      same("the answer to a DELETE", [status, text], [204, ""]);
      for (const members of [{ client_id }, { client_id, operation_index: 1, payload: "y" }]) {
        const answer = await user.post(members);
        answer.refused("user-erased", "a request of a user who was deleted");
        const at = Date.parse(String(answer.problem.erased_at));
        holds(!Number.isNaN(at), `erased_at is ${answer.problem.erased_at}`);
      }
    },
  },
  {
    rule: "R-15.3",
    says: "deletes a user of whom nothing is stored",
    async run(server) {
      const user = await server.newUser();
      same("the answer to a DELETE", (await user.erase()).status, 204);
      const answer = await user.post({ client_id: newClient() });
      answer.refused("user-erased", "a request of that user");
    },
  },
  {
    rule: "R-15.4",
    says: "answers the deletion of a user who was deleted with 204",
    async run(server) {
      const user = await server.newUser();
      await user.append(newClient(), 0, "x");
      same("the first answer", (await user.erase()).status, 204);
      same("the second answer", (await user.erase()).status, 204);
      const answer = await user.post({ client_id: newClient() });
      answer.refused("user-erased", "a request after both");
    },
  },
  {
    rule: "R-15.8",
    says: "deletes nothing by a request whose signature is wrong",
    async run(server) {
      const [user, other] = [await server.newUser(), await server.newUser()];
      const client = newClient();
      await user.append(client, 0, "x");
      const created = Math.floor(Date.now() / 1000) - 1000;
      const late = await user.erase({ deviations: { created } });
      late.refused("signature-invalid", "a DELETE of long ago", { check: "clock" });
      const stolen = await other.send(JSON.stringify({ user: user.base64 }), { method: "DELETE" });
      stolen.refused("signature-invalid", "a DELETE by another user", { check: "key" });
      const posted = await user.erase({ deviations: { method: "POST" } });
      posted.refused("signature-invalid", "a DELETE signed as POST", { check: "signature" });
      same("what is stored", payloadsOf(await user.read(), client), ["x"]);
    },
  },
];
