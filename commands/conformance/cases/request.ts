/** Section 4 of PROTOCOL.md: what a request may say. */
import { MAX_INDEX } from "../../../protocol/ids.ts";
import { MAX_OPERATIONS } from "../../../protocol/limits.ts";
import { newClient } from "../account.ts";
import { payloadsOf, placesOf } from "../answer.ts";
import type { Case } from "../case.ts";
import { CannotTry, same } from "../checks.ts";
import type { TestedServer } from "../tested-server.ts";

type Members = Readonly<Record<string, unknown>>;

/** Throws `Broken` unless each of some changes of a valid append is refused. */
async function refusesEach(server: TestedServer, changes: readonly [string, Members][]) {
  const user = await server.sharedUser();
  for (const [what, members] of changes) {
    const valid = { client_id: newClient(), operation_index: 0, payload: "x", sync_status: {} };
    (await user.post({ ...valid, ...members })).refused("invalid-request", what);
  }
}

/** Sends a request whose JSON is written by hand. */
async function postJson(server: TestedServer, members: string) {
  const user = await server.sharedUser();
  return user.send(`{"user":"${user.base64}","client_id":"${newClient()}",${members}}`);
}

export const REQUEST: readonly Case[] = [
  {
    rule: "R-4.1",
    says: "takes every member at its limits, and a request without those that may be left out",
    async run(server) {
      const user = await server.sharedUser();
      const other = newClient();
      const valid: [string, Members][] = [
        ["client_id alone", {}],
        ["the last index there is", { operation_index: MAX_INDEX }],
        ["a sync status at its limits", { sync_status: { [other]: MAX_INDEX, [newClient()]: 0 } }],
        ["a UUID of another version", { client_id: "00000000-0000-0000-0000-000000000000" }],
        ["snapshots", { snapshots: false }],
      ];
      for (const [what, members] of valid) {
        (await user.post({ client_id: newClient(), ...members })).accepted(what);
      }
      await user.append(newClient(), 0, ["a batch of one"]);
    },
  },
  {
    rule: "R-4.1",
    says: "refuses a member that is missing, or of another type or range",
    async run(server) {
      const id = newClient();
      await refusesEach(server, [
        ["no user", { user: undefined }],
        ["a user that is a number", { user: 5 }],
        ["no client_id", { client_id: undefined }],
        ["a client_id that is no UUID", { client_id: "phone" }],
        ["a client_id without dashes", { client_id: id.replaceAll("-", "") }],
        ["a client_id with a space", { client_id: ` ${id}` }],
        ["a payload without operation_index", { operation_index: undefined }],
        ["a negative operation_index", { operation_index: -1 }],
        ["an operation_index of 0.5", { operation_index: 0.5 }],
        ["an operation_index of 2^53", { operation_index: 2 ** 53 }],
        ["an operation_index that is a string", { operation_index: "0" }],
        ["a payload that is a number", { payload: 5 }],
        ["an empty batch", { payload: [] }],
        ["a number in a batch", { payload: ["x", 5] }],
        ["a sync_status that is an array", { sync_status: [] }],
        ["a sync_status of no UUID", { sync_status: { phone: 0 } }],
        ["a sync_status with a negative index", { sync_status: { [id]: -1 } }],
        ["a sync_status with a string", { sync_status: { [id]: "0" } }],
        ["snapshots that is a number", { snapshots: 1 }],
        ["a snapshot without covers", { snapshot: {} }],
      ]);
      const user = await server.sharedUser();
      (await user.send("[]")).refused("invalid-request", "an array");
      (await user.send('"text"')).refused("invalid-request", "a string");
    },
  },
  {
    rule: "R-4.2",
    says: "compares client ids in lower case, and sends them so",
    async run(server) {
      const user = await server.newUser();
      const client = newClient();
      await user.append(client.toUpperCase(), 0, "zero");
      await user.append(client, 1, "one");
      same("the lines", placesOf(await user.read()), [
        [client, 0],
        [client, 1],
      ]);
      const known = { sync_status: { [client.toUpperCase()]: 0 } };
      same("what is above the sync status", placesOf(await user.read(known)), [[client, 1]]);
    },
  },
  {
    rule: "R-4.2",
    says: "refuses a request that names one client twice",
    async run(server) {
      const id = newClient().replace(/^./, "a");
      const status = { [id]: 0, [id.toUpperCase()]: 1 };
      await refusesEach(server, [["a client in two spellings", { sync_status: status }]]);
    },
  },
  {
    rule: "R-4.3",
    says: "refuses a payload that is empty or no well-formed Unicode",
    async run(server) {
      await refusesEach(server, [
        ["an empty payload", { payload: "" }],
        ["an empty payload in a batch", { payload: ["x", ""] }],
        ["a lone surrogate", { payload: "\ud800" }],
        ["surrogates in the wrong order", { payload: ["x", "\udd12\ud83d"] }],
      ]);
    },
  },
  {
    rule: "R-4.3",
    says: "takes two payloads for the same when their characters are, however JSON spells them",
    async run(server) {
      const user = await server.sharedUser();
      const client = newClient();
      await user.append(client, 0, "A/é\ud83d\udd12");
      const again = `{"user":"${user.base64}","client_id":"${client}","operation_index":0,"payload":"\\u0041\\/\\u00E9\\uD83D\\udd12"}`;
      (await user.send(again)).accepted("the same payload, spelt otherwise");
    },
  },
  {
    rule: "R-4.4",
    says: "refuses a batch whose last index is beyond 2^53 - 1",
    async run(server) {
      const members = { operation_index: MAX_INDEX, payload: ["x", "y"] };
      await refusesEach(server, [["a batch beyond the last index", members]]);
    },
  },
  {
    rule: "R-4.5",
    says: "takes whole numbers in each form that JSON has, and none that only round to one",
    async run(server) {
      for (const number of ["7", "7.0", "70e-1", "0.7E+1", "-0"]) {
        (await postJson(server, `"operation_index":${number}`)).accepted(number);
      }
      for (const number of ["1.0000000000000001", "9007199254740992.0", "1e-400", "1e16", "-1"]) {
        const answer = await postJson(server, `"operation_index":${number}`);
        answer.refused("invalid-request", number);
      }
    },
  },
  {
    rule: "R-4.6",
    says: "refuses null in place of a member that may be left out",
    async run(server) {
      const names = ["operation_index", "payload", "sync_status", "snapshot", "snapshots"];
      await refusesEach(
        server,
        names.map((name) => [`null as ${name}`, { [name]: null }]),
      );
    },
  },
  {
    rule: "R-4.7",
    says: "refuses a member that it does not know, and stores nothing of such a request",
    async run(server) {
      const user = await server.sharedUser();
      const client_id = newClient();
      const valid = { client_id, operation_index: 0, payload: "x" };
      for (const more of [{ more: 1 }, { Payload: "x" }, { constructor: {} }]) {
        const answer = await user.post({ ...valid, ...more });
        answer.refused("invalid-request", `a member ${Object.keys(more)}`);
      }
      same("what is stored", payloadsOf(await user.read({ client_id }), client_id), []);
    },
  },
  {
    rule: "R-4.8",
    says: "refuses a member that occurs twice",
    async run(server) {
      const id = newClient();
      const twice = [
        '"operation_index":0,"operation_index":0',
        '"operation_index":0,"operation_inde\\u0078":1',
        `"sync_status":{"${id}":0,"${id}":0}`,
      ];
      for (const members of twice) {
        (await postJson(server, members)).refused("invalid-request", members);
      }
    },
  },
  {
    rule: "R-4.9",
    says: "takes a batch of 10,000 payloads, and none of more",
    async run(server) {
      const user = await server.newUser();
      const payload = Array.from({ length: MAX_OPERATIONS }, () => "x");
      await refusesEach(server, [["10,001 payloads", { payload: [...payload, "x"] }]]);
      await user.append(newClient(), 0, payload);
    },
  },
  {
    rule: "R-4.9",
    says: "takes a sync status of 10,000 clients",
    async run(server) {
      const user = await server.sharedUser();
      const clients = Array.from({ length: 10_000 }, () => [newClient(), 0]);
      const members = { client_id: newClient(), sync_status: Object.fromEntries(clients) };
      const answer = await user.post(members);
      if (answer.status === 413) throw new CannotTry("the server takes no body of that size");
      answer.accepted("a sync status of 10,000 clients");
    },
  },
  {
    rule: "R-4.13",
    says: "refuses a snapshot in a batch, of nothing, or that does not say how it follows its own client",
    async run(server) {
      const [client_id, other] = [newClient(), newClient()];
      const snapshotOf = (covers: Members) => ({ client_id, snapshot: { covers } });
      const second = { operation_index: 1 };
      await refusesEach(server, [
        ["a snapshot in a batch", { ...snapshotOf({ [other]: 0 }), payload: ["x"] }],
        ["a snapshot that covers nothing", snapshotOf({})],
        ["a first operation that covers its own client", snapshotOf({ [client_id]: 0 })],
        ["a snapshot without its own client", { ...second, ...snapshotOf({ [other]: 0 }) }],
        ["a snapshot that covers itself", { ...second, ...snapshotOf({ [client_id]: 1 }) }],
        ["a snapshot without a payload", { ...snapshotOf({ [other]: 0 }), payload: undefined }],
        ["a covers that is an array", { snapshot: { covers: [] } }],
      ]);
    },
  },
];
