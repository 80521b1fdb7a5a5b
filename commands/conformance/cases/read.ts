/** Sections 6 and 8 of PROTOCOL.md: which operations an answer has, and in which order. */
import { MAX_INDEX } from "../../../protocol/ids.ts";
import { newClient } from "../account.ts";
import { payloadsOf, placesOf } from "../answer.ts";
import type { Case } from "../case.ts";
import { same } from "../checks.ts";

export const READ: readonly Case[] = [
  {
    rule: "R-6.1",
    says: "sends what is above the sync status of each client, and all of a client that it does not name",
    async run(server) {
      const user = await server.newUser();
      const [a, b, c] = [newClient(), newClient(), newClient()];
      for (const client of [a, b, c]) await user.append(client, 0, ["zero", "one", "two"]);
      const lines = await user.read({ sync_status: { [a]: 0, [b]: 2 } });
      same("of a client of which 0 is known", payloadsOf(lines, a), ["one", "two"]);
      same("of a client of which all is known", payloadsOf(lines, b), []);
      same("of a client that is not named", payloadsOf(lines, c), ["zero", "one", "two"]);
    },
  },
  {
    rule: "R-6.1",
    says: "sends of the sender's own operations what is above its index and its sync status",
    async run(server) {
      const user = await server.newUser();
      const client_id = newClient();
      await user.append(client_id, 0, ["zero", "one", "two"]);
      const own = async (members: Readonly<Record<string, unknown>>) =>
        payloadsOf(await user.read({ client_id, ...members }), client_id);
      same("with its last index", await own({ operation_index: 2 }), []);
      same("with an earlier index", await own({ operation_index: 0 }), ["one", "two"]);
      same("with a sync status", await own({ sync_status: { [client_id]: 1 } }), ["two"]);
      const both = { operation_index: 0, sync_status: { [client_id]: 1 } };
      same("with both, of which the status is higher", await own(both), ["two"]);
      const other = { operation_index: 1, sync_status: { [client_id]: 0 } };
      same("with both, of which the index is higher", await own(other), ["two"]);
    },
  },
  {
    rule: "R-6.2",
    says: "sends a client all of its own operations that says nothing of them",
    async run(server) {
      const user = await server.newUser();
      const client_id = newClient();
      await user.append(client_id, 0, ["zero", "one"]);
      const lines = await user.read({ client_id });
      same("its own operations", payloadsOf(lines, client_id), ["zero", "one"]);
    },
  },
  {
    rule: "R-6.3",
    says: "answers an append with what other clients have stored, and nothing that it has brought",
    async run(server) {
      const user = await server.newUser();
      const [a, b] = [newClient(), newClient()];
      await user.append(a, 0, "from a");
      const answer = await user.append(b, 0, ["one", "two"]);
      same("the answer to an append", placesOf(answer.lines), [[a, 0]]);
    },
  },
  {
    rule: "R-6.4",
    says: "takes an index above what is stored, and sends what goes further than that",
    async run(server) {
      const user = await server.newUser();
      const client = newClient();
      await user.append(client, 0, "zero");
      const ahead = { sync_status: { [client]: 1, [newClient()]: 7 } };
      same("with an index above what is stored", placesOf(await user.read(ahead)), []);
      await user.append(client, 1, ["one", "two"]);
      same("once more is stored", placesOf(await user.read(ahead)), [[client, 2]]);
    },
  },
  {
    rule: "R-6.7",
    says: "does not complain of a request without a payload that the client's operations are missing",
    async run(server) {
      const user = await server.sharedUser();
      const answer = await user.post({ client_id: newClient(), operation_index: 41 });
      answer.accepted("a poll of a client with an index of which nothing is stored");
    },
  },
  {
    rule: "R-6.11",
    says: "sends nothing of a client whose index is said to be 2^53 - 1",
    async run(server) {
      const user = await server.newUser();
      const [a, b] = [newClient(), newClient()];
      await user.append(a, 0, ["zero", "one"]);
      await user.append(b, 0, "other");
      const lines = await user.read({ sync_status: { [a]: MAX_INDEX } });
      same("the lines", placesOf(lines), [[b, 0]]);
    },
  },
  {
    rule: "R-8.1",
    says: "appends requests that come at once one after the other",
    async run(server) {
      const user = await server.newUser();
      const client_id = newClient();
      // Otherwise they would also wait for the first signature to close the user.
      await user.append(newClient(), 0, "first");
      const payloads = ["one", "two", "three", "four"];
      const answers = await Promise.all(
        payloads.map((payload) => user.post({ client_id, operation_index: 0, payload })),
      );
      const stored = payloads.filter((_, i) => answers[i]?.status === 200);
      same("how many of four appends of one operation are taken", stored.length, 1);
      for (const answer of answers) {
        if (answer.status !== 200) answer.refused("operation-conflict", "a later append");
      }
      same("what is stored", payloadsOf(await user.read(), client_id), stored);
    },
  },
  {
    rule: "R-8.2",
    says: "sends the operations of a client in their order, without holes",
    async run(server) {
      const user = await server.newUser();
      const [a, b] = [newClient(), newClient()];
      for (let index = 0; index < 12; index += 3) {
        await user.append(a, index, [`a ${index}`, `a ${index + 1}`]);
        await user.append(b, index, [`b ${index}`, `b ${index + 1}`, `b ${index + 2}`]);
        await user.append(a, index + 2, `a ${index + 2}`);
      }
      const lines = await user.read({ sync_status: { [b]: 4 } });
      const from = (first: number) => Array.from({ length: 12 - first }, (_, i) => first + i);
      same(
        "the operations of one client",
        payloadsOf(lines, a),
        from(0).map((index) => `a ${index}`),
      );
      same(
        "those of another, of which 4 is known",
        payloadsOf(lines, b),
        from(5).map((index) => `b ${index}`),
      );
    },
  },
  {
    rule: "R-8.4",
    says: "shows at once what it has acknowledged",
    async run(server) {
      const user = await server.newUser();
      const client = newClient();
      const payloads: string[] = [];
      for (let index = 0; index < 5; index++) {
        payloads.push(`${index}`);
        await user.append(client, index, `${index}`);
        const lines = await user.read();
        same(`what is shown after append ${index}`, payloadsOf(lines, client), payloads);
      }
    },
  },
];
