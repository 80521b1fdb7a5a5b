/** A server that lies: nothing wrong is delivered, and each trick is reported by its kind. */
import assert from "node:assert/strict";
import { afterEach, before, describe, it } from "node:test";
import fc from "fast-check";
import {
  type Identity,
  type Refusal,
  ServerRejected,
  SyncClient,
  type SyncOptions,
  textOf,
} from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import type { Line } from "../../protocol/types.ts";
import { altered, type Trick } from "../support/altered-answer.ts";
import { newIdentity } from "../support/private-keys.ts";
import { sealed, storeOf } from "../support/sealed.ts";
import { JumpingClock, SimulatedServer, URL_OF_SERVER } from "../support/simulated-network.ts";
import { problem } from "../support/sync-app.ts";
import { newClient } from "../support/users.ts";

const HONEST: Trick = (lines) => lines;

describe("a lying server", () => {
  let identity: Identity;
  let stranger: Identity;
  before(async () => {
    identity = await newIdentity();
    stranger = await newIdentity();
  });

  const opened: SyncClient[] = [];
  // A client that is left open would never stop, because its clock does not let it wait.
  afterEach(() => Promise.all(opened.splice(0).map((client) => client.close())));

  /** A client with a store of its own, and no request but those that a test asks for. */
  async function open(
    clock: JumpingClock,
    options: Pick<SyncOptions, "receive" | "fetch"> & Partial<SyncOptions>,
  ): Promise<SyncClient> {
    const client = await SyncClient.open({
      url: URL_OF_SERVER,
      identity,
      clock,
      store: new MemoryStore(),
      sign: false,
      pollInterval: Number.POSITIVE_INFINITY,
      idleTimeout: Number.POSITIVE_INFINITY,
      ...options,
    });
    opened.push(client);
    return client;
  }

  /** A server with operations of two clients, and a third client that reads through a trick. */
  async function start() {
    const server = new SimulatedServer();
    const clock = new JumpingClock();
    const truth = new Map<string, string[]>();
    for (const name of ["a", "b"]) {
      const texts = [0, 1, 2, 3].map((i) => `${name}${i}`);
      const { store } = await storeOf(identity, texts);
      const writer = await open(clock, {
        store,
        receive: () => undefined,
        fetch: (request) => server.fetch(request),
      });
      await writer.sync();
      truth.set(writer.client, texts);
      await writer.close();
    }
    const received = new Map<string, string[]>();
    const refusals: Refusal[] = [];
    const state = { trick: HONEST };
    const reader = await open(clock, {
      receive: (operations, { client }) => {
        const texts = received.get(client) ?? [];
        received.set(client, texts);
        for (const { index, data } of operations) {
          assert.equal(index, texts.length);
          texts.push(textOf(data));
        }
      },
      onRefusal: (refusal) => refusals.push(refusal),
      fetch: async (request) => altered(await server.fetch(request), (lines) => state.trick(lines)),
    });
    const [a = "", b = ""] = [...truth.keys()];
    /** Reads through a trick, and then through none, when the client has forgotten the refusals. */
    const read = async (trick: Trick) => {
      state.trick = trick;
      await reader.sync();
      const after = new Map([...received].map(([client, texts]) => [client, [...texts]]));
      state.trick = HONEST;
      await clock.sleep(3600_000, new AbortController().signal);
      await reader.sync();
      return after;
    };
    return { truth, received, refusals, reader, read, a, b };
  }

  const tricks: readonly [
    string,
    Refusal["kind"],
    (lines: Line[], a: string) => Line[] | Promise<Line[]>,
  ][] = [
    ["reorders", "chain broken", (lines, a) => swap(lines, a, 1, 2)],
    ["reorders, and numbers them anew", "forged", (lines, a) => renumbered(swap(lines, a, 1, 2))],
    [
      "drops one",
      "chain broken",
      (lines, a) => lines.filter(({ client, index }) => client !== a || index !== 1),
    ],
    [
      "drops one, and numbers the rest anew",
      "forged",
      (lines, a) => renumbered(lines.filter(({ client, index }) => client !== a || index !== 1)),
    ],
    [
      "replays one",
      "out of place",
      (lines, a) =>
        lines.flatMap((line) => (line.client === a && line.index === 2 ? [line, line] : [line])),
    ],
    [
      "passes one client's operation off as another's",
      "forged",
      (lines, a) => {
        const other = lines.find(({ client, index }) => client !== a && index === 1);
        return lines.map((line) =>
          line.client === a && line.index === 1 && other ? { ...other, client: a } : line,
        );
      },
    ],
    [
      "forges one with the public key",
      "forged",
      async (lines, a) => {
        const forger = { ...identity, keys: { ...identity.keys, sign: stranger.keys.sign } };
        const [forged] = await sealed(forger, a, ["forged"], 1);
        return lines.map((line) =>
          line.client === a && line.index === 1 && forged ? forged : line,
        );
      },
    ],
    [
      "splices in an operation of another user",
      "forged",
      async (lines, a) => {
        const [theirs] = await sealed(stranger, a, ["theirs"], 1);
        return lines.map((line) =>
          line.client === a && line.index === 1 && theirs ? theirs : line,
        );
      },
    ],
    [
      "sends garbage",
      "forged",
      (lines, a) =>
        lines.map((line) =>
          line.client === a && line.index === 1 ? { ...line, payload: "AQAA" } : line,
        ),
    ],
  ];

  for (const [name, kind, trick] of tricks) {
    it(`T-19 that ${name} is reported by its kind, and no wrong operation is delivered`, async () => {
      const { truth, received, refusals, reader, read, a, b } = await start();
      const after = await read((lines) => trick(lines, a));
      const whole = truth.get(a) ?? [];
      const got = after.get(a) ?? [];
      assert.deepEqual(got, whole.slice(0, got.length));
      assert.ok(got.length >= 1 && got.length <= 3);
      assert.deepEqual(after.get(b), truth.get(b), "the other client is not held up");
      assert.deepEqual(
        refusals.map((refusal) => [refusal.kind, refusal.client]),
        [[kind, a]],
      );
      assert.deepEqual(received, truth, "nothing is lost once the server is honest");
      assert.deepEqual(reader.refusals, []);
      assert.deepEqual(reader.status, { state: "synced", pending: 0, refused: 0, live: false });
    });
  }

  it("that invents a client is reported as forging, and again only after a while", async () => {
    const { received, refusals, reader, read } = await start();
    const made = newClient();
    const forger = { ...identity, keys: { ...identity.keys, sign: stranger.keys.sign } };
    const forged = await sealed(forger, made, ["forged"]);
    const trick: Trick = (lines) => [...forged, ...lines];
    await read(trick);
    await read(trick);
    assert.deepEqual(refusals, [
      { kind: "forged", client: made, index: 0 },
      { kind: "forged", client: made, index: 0 },
    ]);
    assert.equal(received.has(made), false);
    assert.deepEqual(reader.refusals, [{ kind: "forged", client: made, index: 0 }]);
    assert.deepEqual(reader.status, { state: "synced", pending: 0, refused: 1, live: false });
  });

  it("that keeps sending garbage is asked for it ever more rarely, down to once an hour", async () => {
    const server = new SimulatedServer();
    const clock = new JumpingClock();
    const made = newClient();
    const [forged] = await sealed(stranger, made, ["forged"]);
    assert.ok(forged);
    const asked: boolean[] = [];
    let refused = 0;
    const reader = await open(clock, {
      receive: () => assert.fail("it was delivered"),
      onRefusal: () => refused++,
      fetch: async (request) => {
        const { sync_status: status } = JSON.parse(await request.clone().text());
        asked.push(status[made] === undefined);
        assert.ok(status[made] === undefined || status[made] === Number.MAX_SAFE_INTEGER);
        return altered(await server.fetch(request), () => [forged]);
      },
    });
    await reader.sync();
    const never = new AbortController().signal;
    for (const [i, minutes] of [1, 2, 4, 8, 16, 32, 60, 60].entries()) {
      await clock.sleep(minutes * 60_000 - 1, never);
      await reader.sync();
      assert.equal(asked.at(-1), false, `${minutes} minutes`);
      assert.equal(refused, i + 1);
      await clock.sleep(1, never);
      await reader.sync();
      assert.equal(asked.at(-1), true, `${minutes} minutes`);
      assert.equal(refused, i + 2);
    }
  });

  it("that invents clients without end fills the memory with 10,000 at most", async () => {
    const made = Array.from({ length: 10_050 }, () => ({
      client: newClient(),
      index: 0,
      payload: "AQAA",
    }));
    const { reader, read, refusals, truth, received } = await start();
    await read((lines) => [...made, ...lines]);
    assert.ok(refusals.length >= made.length);
    assert.equal(reader.refusals.length, 10_000);
    assert.deepEqual(received, truth);
  });

  it("that sends a client its own operations does not make it change its client id", async () => {
    const { refusals, reader, read } = await start();
    const client = reader.client;
    await reader.append("mine");
    await reader.sync();
    const forger = { ...identity, keys: { ...identity.keys, sign: stranger.keys.sign } };
    for (const signer of [identity, forger]) {
      const lines = await sealed(signer, client, ["made up"], 1);
      await read((honest) => [...honest, ...lines]);
    }
    assert.equal(reader.client, client);
    assert.deepEqual(
      refusals.map(({ kind }) => kind),
      ["forged", "forged"],
    );
  });

  it("that sends back an append that it refused does not make the client change its id", async () => {
    const server = new SimulatedServer();
    let taken: Line | undefined;
    const refusals: string[] = [];
    const writer = await open(new JumpingClock(), {
      receive: () => undefined,
      onClientChange: () => assert.fail("it took a new client id"),
      onRefusal: ({ kind }) => refusals.push(kind),
      fetch: async (request) => {
        const { client_id: client, payload } = JSON.parse(await request.clone().text());
        const response = await server.fetch(request);
        if (payload === undefined) return altered(response, () => (taken ? [taken] : []));
        taken = { client, index: 0, payload: payload[0] };
        return new Response(null, { status: 507 });
      },
    });
    await writer.append("mine");
    await assert.rejects(writer.sync(), ServerRejected);
    assert.deepEqual(refusals, ["out of place"]);
  });

  it("that denies what it has stored does not have it created again", async () => {
    const server = new SimulatedServer();
    const clock = new JumpingClock();
    /** What it shows in place of what it denies. */
    let shown: Line[] = [];
    let lies = false;
    let denied = 0;
    const store = new MemoryStore();
    const writer = await open(clock, {
      store,
      receive: () => undefined,
      onClientChange: () => assert.fail("it took a new client id"),
      fetch: async (request) => {
        const { payload, operation_index: first } = JSON.parse(await request.clone().text());
        const response = await server.fetch(request);
        if (!lies) return response;
        if (payload === undefined) return altered(response, () => shown);
        denied++;
        const type = first === 0 ? "operation-conflict" : "operation-gap";
        return problem(409, type, { operation_index: 0, next_index: 0 });
      },
    });
    await writer.appendAll(["a0", "a1"]);
    await writer.sync();
    const [garbage] = await sealed(stranger, writer.client, ["garbage"]);
    const [own] = await sealed(identity, newClient(), ["a0"]);
    const { client } = writer;
    const [taken = ""] = await store.read(client, 0, 1, 0);
    const shows = [
      undefined,
      garbage,
      own && { ...own, client },
      { client, index: 0, payload: taken },
    ];
    for (const show of shows) {
      lies = true;
      shown = show === undefined ? [] : [show];
      await writer.append("more");
      const before = denied;
      await assert.rejects(writer.sync(), ServerRejected);
      assert.ok(denied > before);
      lies = false;
      await writer.sync();
    }
    const received: string[] = [];
    const reader = await open(clock, {
      receive: (operations) => {
        received.push(...operations.map(({ data }) => textOf(data)));
      },
      fetch: (request) => server.fetch(request),
    });
    await reader.sync();
    assert.deepEqual(received, ["a0", "a1", ...shows.map(() => "more")]);
  });

  it("T-19 has only the first operations of each client delivered, in order", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.infiniteStream(fc.nat(1000)),
        fc.integer({ min: 1, max: 4 }),
        async (choices, count) => {
          const { truth, received, reader, read } = await start();
          const next = (below: number) => (choices.next().value ?? 0) % Math.max(1, below);
          const after = await read((lines) => {
            let out = [...lines];
            for (let i = 0; i < count && out.length > 0; i++) out = mutated(out, next);
            return out;
          });
          for (const [client, texts] of after) {
            assert.deepEqual(texts, truth.get(client)?.slice(0, texts.length));
          }
          await reader.sync();
          assert.deepEqual(received, truth);
          await reader.close();
        },
      ),
      { numRuns: 25 },
    );
  });
});

function swap(lines: readonly Line[], of: string, first: number, second: number): Line[] {
  const place = (index: number) =>
    lines.findIndex((line) => line.client === of && line.index === index);
  const swapped = [...lines];
  const [one, two] = [lines[place(first)], lines[place(second)]];
  if (one && two) {
    swapped[place(first)] = two;
    swapped[place(second)] = one;
  }
  return swapped;
}

/** The indexes of each client counted from 0, whatever they were. */
function renumbered(lines: readonly Line[]): Line[] {
  const next = new Map<string, number>();
  return lines.map((line) => {
    const index = next.get(line.client) ?? 0;
    next.set(line.client, index + 1);
    return { ...line, index };
  });
}

/** One thing after another that a server can do to lines without a key. */
function mutated(lines: readonly Line[], next: (below: number) => number): Line[] {
  const at = next(lines.length);
  const line = lines[at];
  const other = lines[next(lines.length)];
  if (line === undefined || other === undefined) return [...lines];
  switch (next(7)) {
    case 0:
      return lines.toSpliced(at, 1);
    case 1:
      return lines.toSpliced(at, 0, other);
    case 2:
      return lines.toSpliced(at, 1).toSpliced(next(lines.length), 0, line);
    case 3:
      return lines.with(at, { ...line, payload: other.payload });
    case 4:
      return lines.with(at, { ...line, client: other.client });
    case 5:
      return lines.with(at, { ...line, index: next(6) });
    default: {
      const place = next(line.payload.length);
      const letter = "ABab01-_"[next(8)] ?? "A";
      const payload = line.payload.slice(0, place) + letter + line.payload.slice(place + 1);
      return lines.with(at, { ...line, payload });
    }
  }
}
