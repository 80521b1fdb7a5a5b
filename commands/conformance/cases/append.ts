/** Sections 5 and 9 of PROTOCOL.md: what is stored, and what happens to it when it is sent again. */
import { newClient } from "../account.ts";
import { payloadsOf, placesOf } from "../answer.ts";
import type { Case } from "../case.ts";
import { same } from "../checks.ts";

export const APPEND: readonly Case[] = [
  {
    rule: "R-5.1",
    says: "stores a client's operations from 0 on, each client's by itself",
    async run(server) {
      const user = await server.newUser();
      const [a, b] = [newClient(), newClient()];
      await user.append(a, 0, "a 0");
      await user.append(b, 0, ["b 0", "b 1"]);
      await user.append(a, 1, "a 1");
      const lines = await user.read();
      same("what is stored of one client", payloadsOf(lines, a), ["a 0", "a 1"]);
      same("what is stored of the other", payloadsOf(lines, b), ["b 0", "b 1"]);
    },
  },
  {
    rule: "R-5.1",
    says: "acknowledges what is stored already, and stores it once",
    async run(server) {
      const user = await server.newUser();
      const client = newClient();
      await user.append(client, 0, ["zero", "one"]);
      await user.append(client, 1, "one");
      await user.append(client, 0, ["zero", "one"]);
      same("what is stored", payloadsOf(await user.read(), client), ["zero", "one"]);
    },
  },
  {
    rule: "R-5.1",
    says: "refuses an operation beyond the next one, names that, and stores nothing",
    async run(server) {
      const user = await server.newUser();
      const client_id = newClient();
      const first = await user.post({ client_id, operation_index: 1, payload: "one" });
      first.refused("operation-gap", "an operation before the first", { next_index: 0 });
      await user.append(client_id, 0, ["zero", "one"]);
      const later = await user.post({ client_id, operation_index: 5, payload: ["five", "six"] });
      later.refused("operation-gap", "operation 5 after 1", { next_index: 2 });
      same("what is stored", payloadsOf(await user.read(), client_id), ["zero", "one"]);
    },
  },
  {
    rule: "R-5.1",
    says: "refuses another payload under an index that is taken, and replaces nothing",
    async run(server) {
      const user = await server.newUser();
      const client_id = newClient();
      await user.append(client_id, 0, ["zero", "one"]);
      const conflict = { operation_index: 1 };
      const single = await user.post({ client_id, operation_index: 1, payload: "ONE" });
      single.refused("operation-conflict", "another payload", conflict);
      const batch = await user.post({ client_id, operation_index: 0, payload: ["zero", "ONE"] });
      batch.refused("operation-conflict", "a batch with another payload", conflict);
      same("what is stored", payloadsOf(await user.read(), client_id), ["zero", "one"]);
    },
  },
  {
    rule: "R-5.3",
    says: "takes a batch whole, what is stored already and what is not, or refuses it whole",
    async run(server) {
      const user = await server.newUser();
      const client_id = newClient();
      await user.append(client_id, 0, ["zero", "one"]);
      const conflict = ["ONE", "two"];
      const refused = await user.post({ client_id, operation_index: 1, payload: conflict });
      refused.refused("operation-conflict", "a batch of which a part is another");
      same("what is stored then", payloadsOf(await user.read(), client_id), ["zero", "one"]);
      await user.append(client_id, 1, ["one", "two", "three"]);
      const all = ["zero", "one", "two", "three"];
      same("what is stored at last", payloadsOf(await user.read(), client_id), all);
    },
  },
  {
    rule: "R-9.1",
    says: "answers a request that is sent again as it did before, and stores nothing more",
    async run(server) {
      const user = await server.newUser();
      const [a, b] = [newClient(), newClient()];
      await user.append(a, 0, ["zero", "one"]);
      const request = { client_id: b, operation_index: 0, payload: "other", sync_status: {} };
      for (let sent = 0; sent < 3; sent++) {
        same(`answer ${sent}`, placesOf((await user.post(request)).lines), [
          [a, 0],
          [a, 1],
        ]);
      }
      same("what is stored", payloadsOf(await user.read(), b), ["other"]);
    },
  },
  {
    rule: "R-9.4",
    says: "acknowledges a retry whose sync status is another",
    async run(server) {
      const user = await server.newUser();
      const [a, b] = [newClient(), newClient()];
      await user.append(a, 0, ["zero", "one"]);
      const retry = (sync_status: Record<string, number>) =>
        user.post({ client_id: b, operation_index: 0, payload: "other", sync_status });
      (await retry({})).accepted("an append");
      same("the answer to a retry", placesOf((await retry({ [a]: 0 })).lines), [[a, 1]]);
      same("the answer to another", placesOf((await retry({ [a]: 1, [b]: 0 })).lines), []);
    },
  },
];
