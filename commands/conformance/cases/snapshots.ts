/** Section 20 of PROTOCOL.md: snapshots. Nothing is deleted meanwhile: that takes `RETENTION`. */
import { type Account, newClient } from "../account.ts";
import type { Answer, Line } from "../answer.ts";
import { placesOf } from "../answer.ts";
import type { Case } from "../case.ts";
import { holds, same } from "../checks.ts";
import type { TestedServer } from "../tested-server.ts";

const LONG = "x".repeat(3000);

interface Log {
  readonly user: Account;
  /** Two clients, each with four long operations; the id of the first is less than the other. */
  readonly a: string;
  readonly b: string;
  /** A short snapshot of the first client, not sent yet. */
  readonly snapshot: Readonly<Record<string, unknown>>;
}

async function begin(server: TestedServer): Promise<Log> {
  const user = await server.newUser();
  const [a = "", b = ""] = [newClient(), newClient()].sort();
  await user.append(a, 0, Array(4).fill(LONG));
  await user.append(b, 0, Array(4).fill(LONG));
  const covers = { [b]: 2, [a]: 3 };
  const snapshot = { client_id: a, operation_index: 4, payload: "state", snapshot: { covers } };
  return { user, a, b, snapshot };
}

/** Stores a snapshot. */
async function store(user: Account, snapshot: Log["snapshot"]): Promise<void> {
  (await user.post(snapshot)).accepted("a snapshot");
}

/** What a new device reads that takes snapshots. */
const readNew = (user: Account, members: Readonly<Record<string, unknown>> = {}) =>
  user.read({ snapshots: true, ...members });

/** The places of lines, and what each covers where it is a snapshot. */
const shown = (lines: readonly Line[]) =>
  lines.map(({ client_id, operation_index, snapshot }) =>
    snapshot === undefined ? [client_id, operation_index] : [client_id, operation_index, snapshot],
  );

function refused(answer: Answer, what: string, client_id: string, next_index: number): void {
  answer.refused("snapshot-refused", what, { client_id, next_index });
}

export const SNAPSHOTS: readonly Case[] = [
  {
    rule: "R-20.2",
    says: "takes a snapshot only in a signed request",
    async run(server) {
      server.needUnsigned();
      const user = await server.newUser();
      const client_id = newClient();
      const first = { client_id, operation_index: 0, payload: "zero" };
      (await user.post(first, { signed: false })).accepted("an unsigned append");
      const snapshot = { covers: { [client_id]: 0 } };
      const next = { client_id, operation_index: 1, payload: "state", snapshot };
      const answer = await user.post(next, { signed: false });
      answer.refused("signature-required", "an unsigned snapshot");
      const { lines } = await user.post({ client_id: newClient() }, { signed: false });
      same("what is stored", placesOf(lines), [[client_id, 0]]);
    },
  },
  {
    rule: "R-20.3",
    says: "refuses a snapshot of operations that it does not have, and stores nothing",
    async run(server) {
      const { user, a, b, snapshot } = await begin(server);
      const other = newClient();
      const covering = (covers: object) => user.post({ ...snapshot, snapshot: { covers } });
      refused(await covering({ [a]: 3, [b]: 4 }), "an index that is not stored", b, 4);
      refused(await covering({ [a]: 3, [other]: 0 }), "a client that is not stored", other, 0);
      same("how many operations are stored", (await user.read()).length, 8);
      // Without what it covers, it is an operation like any other.
      await user.append(a, 4, "state");
    },
  },
  {
    rule: "R-20.3",
    says: "refuses a snapshot that is stored as one of something else",
    async run(server) {
      const { user, a, b, snapshot } = await begin(server);
      await store(user, snapshot);
      const other = await user.post({ ...snapshot, snapshot: { covers: { [a]: 3, [b]: 1 } } });
      refused(other, "another covers", a, 5);
      const [first] = shown(await readNew(user));
      same("what is stored", first, [a, 4, { covers: { [a]: 3, [b]: 2 } }]);
    },
  },
  {
    rule: "R-20.4",
    says: "acknowledges a snapshot that is sent again",
    async run(server) {
      const { user, a, snapshot } = await begin(server);
      await store(user, snapshot);
      await store(user, snapshot);
      const places = placesOf(await user.read()).filter(([client]) => client === a);
      same("how many operations the client has", places.length, 5);
    },
  },
  {
    rule: "R-20.4",
    says: "makes a snapshot of an operation that is stored, when it is sent again as one",
    async run(server) {
      const { user, a, b, snapshot } = await begin(server);
      await user.append(a, 4, "state");
      same("how many lines there are before", (await readNew(user)).length, 9);
      await store(user, snapshot);
      same("the lines afterwards", shown(await readNew(user)), [
        [a, 4, { covers: { [a]: 3, [b]: 2 } }],
        [b, 3],
      ]);
    },
  },
  {
    rule: "R-20.5",
    says: "takes any number of snapshots, also of the same operations",
    async run(server) {
      const { user, a, b, snapshot } = await begin(server);
      await store(user, snapshot);
      const other = { covers: { [a]: 3, [b]: 3 } };
      await store(user, { client_id: b, operation_index: 4, payload: "other", snapshot: other });
      same("how many operations are stored", (await user.read()).length, 10);
    },
  },
  {
    rule: "R-20.6",
    says: "begins with a snapshot for a device that takes them, where that spares it most of the log",
    async run(server) {
      const { user, a, b, snapshot } = await begin(server);
      await store(user, snapshot);
      await user.append(b, 4, ["b 4", "b 5"]);
      same("the lines for a new device", shown(await readNew(user)), [
        [a, 4, { covers: { [a]: 3, [b]: 2 } }],
        [b, 3],
        [b, 4],
        [b, 5],
      ]);
      // A client is aware of more than the snapshot covers.
      const lines = await readNew(user, { sync_status: { [b]: 4 } });
      same("the lines for one that knows more of a client", shown(lines), [
        [a, 4, { covers: { [a]: 3, [b]: 2 } }],
        [b, 5],
      ]);
    },
  },
  {
    rule: "R-20.6",
    says: "sends every operation to a device that takes no snapshots, or that lacks little",
    async run(server) {
      const { user, a, b, snapshot } = await begin(server);
      await store(user, snapshot);
      for (const members of [{}, { snapshots: false }]) {
        const lines = await user.read(members);
        same("how many lines there are without snapshots", lines.length, 9);
        holds(
          lines.every((line) => line.snapshot === undefined),
          "a device that takes no snapshot is sent one",
        );
      }
      const some = await readNew(user, { sync_status: { [a]: 3, [b]: 3 } });
      same("the lines for a device that lacks one operation", shown(some), [[a, 4]]);
      const none = await readNew(user, { sync_status: { [a]: 4, [b]: 3 } });
      same("the lines for a device that lacks none", shown(none), []);
    },
  },
  {
    rule: "R-20.7",
    says: "writes what a snapshot covers in one way, and counts its line",
    async run(server) {
      const { user, a, b, snapshot } = await begin(server);
      await store(user, snapshot);
      const answer = await user.post({ client_id: newClient(), snapshots: true });
      const line = `{"client_id":"${a}","operation_index":4,"payload":"state","snapshot":{"covers":{"${a}":3,"${b}":2}}}`;
      same("the first line", answer.text.split("\n")[0], line);
      same("how many lines there are", answer.lines.length, 2);
    },
  },
];
