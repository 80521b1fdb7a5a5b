/** The client against the real handler, and what it makes of each answer a server can give. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { afterEach, before, describe, it } from "node:test";
import {
  type ClientChange,
  type Clock,
  type Cursor,
  createIdentity,
  type Identity,
  MemoryStore,
  type Operation,
  ServerRejected,
  type Status,
  type Store,
  SyncClient,
  type SyncOptions,
  textOf,
} from "../../client/index.ts";
import { serveHere } from "../support/http.ts";
import { commandFor, projectFolder, runToEnd } from "../support/process.ts";
import { sealed } from "../support/sealed.ts";
import {
  JumpingClock,
  SimulatedServer,
  turn,
  URL_OF_SERVER,
} from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";

const EVER = Number.POSITIVE_INFINITY;

let identity: Identity;
before(async () => {
  ({ identity } = await createIdentity("a passphrase for tests", { bits: 2048 }));
});

const opened: SyncClient[] = [];
/** One that a failed test has left would go on for ever: its clock never lets it wait. */
afterEach(async () => {
  for (const client of opened.splice(0)) await client.close();
});

/** What an app sees of its client. */
interface App {
  readonly client: SyncClient;
  readonly received: string[];
  readonly statuses: Status[];
  readonly changes: ClientChange[];
}

type Fetch = (request: Request) => Promise<Response>;

async function open(fetch: Fetch, options: Partial<SyncOptions> = {}): Promise<App> {
  const received: string[] = [];
  const statuses: Status[] = [];
  const changes: ClientChange[] = [];
  const client = await SyncClient.open({
    url: URL_OF_SERVER,
    identity,
    store: new MemoryStore(),
    receive: (operations) => {
      received.push(...textsOf(operations));
    },
    onStatus: (status) => statuses.push(status),
    onClientChange: (change) => changes.push(change),
    fetch,
    clock: new JumpingClock(),
    sign: false,
    pollInterval: EVER,
    idleTimeout: EVER,
    ...options,
  });
  opened.push(client);
  return { client, received, statuses, changes };
}

function textsOf(operations: readonly Operation[]): string[] {
  return operations.map(({ data }) => textOf(data));
}

async function createdBy(client: SyncClient): Promise<string[]> {
  const texts: string[] = [];
  for await (const some of client.operations()) texts.push(...textsOf(some));
  return texts;
}

/** A server that sees each request before the handler does, and may answer in its place. */
function tapped(
  server: SimulatedServer,
  tap: (body: Body, number: number) => Response | undefined | Promise<Response | undefined>,
): Fetch {
  let number = 0;
  return async (request) => {
    const { url, method, headers } = request;
    const text = await request.text();
    const answer = await tap(JSON.parse(text), number++);
    return answer ?? server.fetch(new Request(url, { method, headers, body: text }));
  };
}

interface Body {
  readonly client_id: string;
  readonly operation_index?: number;
  readonly payload?: string | string[];
  readonly sync_status: Record<string, number>;
}

function problem(status: number, type: string, members: Record<string, unknown> = {}): Response {
  const document = { type: `urn:sync-server:${type}`, title: "T", status, detail: "So it is." };
  const body = JSON.stringify({ ...document, ...members });
  return new Response(body, { status, headers: { "Content-Type": "application/problem+json" } });
}

/** A clock that notes how long it was told to wait. */
class NotingClock implements Clock {
  readonly waits: number[] = [];
  readonly #clock = new JumpingClock();
  now(): number {
    return this.#clock.now();
  }
  sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
    if (milliseconds !== EVER) this.waits.push(milliseconds);
    return this.#clock.sleep(milliseconds, signal);
  }
}

describe("a client", () => {
  it("sends what is appended, and is delivered what others append, in order", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const [a, b] = [await open(fetch), await open(fetch)];
    const created = await a.client.appendAll(["one", "two"]);
    assert.deepEqual(created, [
      { client: a.client.client, index: 0 },
      { client: a.client.client, index: 1 },
    ]);
    await a.client.sync();
    await b.client.append("three");
    await b.client.sync();
    assert.deepEqual(b.received, ["one", "two"]);
    await a.client.sync();
    assert.deepEqual(a.received, ["three"], "its own are not delivered to it");
    assert.deepEqual(await createdBy(a.client), ["one", "two"]);
    assert.deepEqual(a.client.status, { state: "synced", pending: 0 });
    await a.client.close();
    await b.client.close();
  });

  it("sends in batches, none larger than the server takes", async () => {
    const server = new SimulatedServer({ MAX_BODY: "16KiB" });
    const sizes: number[] = [];
    const { client } = await open(
      tapped(server, ({ payload }) => {
        sizes.push(payload?.length ?? 0);
        return undefined;
      }),
    );
    const texts = Array.from({ length: 50 }, (_, i) => `operation ${i}`);
    await client.appendAll(texts);
    await client.sync();
    assert.ok(sizes.filter((size) => size > 0).length > 5, sizes.join());
    const reader = await open((request) => server.fetch(request));
    await reader.client.sync();
    assert.deepEqual(reader.received, texts);
    await client.close();
    await reader.client.close();
  });

  it("delivers a long log in parts, and the cursor follows each", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const writer = await open(fetch);
    const texts = Array.from({ length: 600 }, (_, i) => `operation ${i}`);
    await writer.client.appendAll(texts);
    await writer.client.sync();
    const store = new MemoryStore();
    const parts: [number, number][] = [];
    const reader = await open(fetch, {
      store,
      receive: async (operations, cursor) => {
        await turn();
        const { cursors } = await store.load();
        assert.equal(cursors[0]?.index ?? -1, (operations[0]?.index ?? 0) - 1, "not yet taken");
        parts.push([operations.length, cursor.index]);
      },
    });
    await reader.client.sync();
    assert.deepEqual(parts, [
      [256, 255],
      [256, 511],
      [88, 599],
    ]);
    await writer.client.close();
    await reader.client.close();
  });

  it("asks again for what the app failed to take, and for nothing else", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const writer = await open(fetch);
    await writer.client.appendAll(["one", "two"]);
    await writer.client.sync();
    let failures = 1;
    const delivered: string[][] = [];
    const reader = await open(fetch, {
      receive: (operations) => {
        if (failures-- > 0) throw new Error("the disk is full");
        delivered.push(textsOf(operations));
      },
    });
    await until(() => reader.client.status.state === "synced");
    assert.deepEqual(delivered, [["one", "two"]]);
    const [refused] = reader.statuses.filter(({ state }) => state === "refused");
    assert.deepEqual(refused, {
      state: "refused",
      pending: 0,
      why: "the disk is full",
      final: false,
    });
    await writer.client.close();
    await reader.client.close();
  });

  it("delivers once more what it could not note as taken, under the same cursor", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const writer = await open(fetch);
    await writer.client.appendAll(["one", "two"]);
    await writer.client.sync();
    const store: Store = new MemoryStore();
    const advance = store.advance.bind(store);
    let failures = 1;
    store.advance = async (cursor) => {
      if (failures-- > 0) throw new Error("the disk is full");
      await advance(cursor);
    };
    const delivered: [string[], number][] = [];
    const reader = await open(fetch, {
      store,
      receive: (operations, { index }) => {
        delivered.push([textsOf(operations), index]);
      },
    });
    await until(() => reader.client.status.state === "synced");
    assert.deepEqual(delivered, [
      [["one", "two"], 1],
      [["one", "two"], 1],
    ]);
    await writer.client.close();
    await reader.client.close();
  });

  it("forgets an append that the store has refused, and goes on from what it has", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const store: Store = new MemoryStore();
    const append = store.append.bind(store);
    let full = false;
    store.append = async (...of) => {
      if (full) throw new Error("the disk is full");
      await append(...of);
    };
    const { client } = await open(fetch, { store });
    await client.append("one");
    full = true;
    await assert.rejects(client.append("lost"), /disk is full/);
    full = false;
    assert.deepEqual(await client.append("two"), { client: client.client, index: 1 });
    await client.sync();
    const reader = await open(fetch);
    await reader.client.sync();
    assert.deepEqual(reader.received, ["one", "two"]);
    await client.close();
    await reader.client.close();
  });

  it("delivers everything again to an app that says it has nothing, and nothing to one that has all", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const writer = await open(fetch);
    await writer.client.appendAll(["one", "two"]);
    await writer.client.sync();
    const store = new MemoryStore();
    const cursors = new Map<string, Cursor>();
    const receive = (_: readonly Operation[], cursor: Cursor) => {
      cursors.set(cursor.client, cursor);
    };
    const first = await open(fetch, { store, receive });
    await first.client.sync();
    await first.client.close();
    const again = await open(fetch, { store, cursors: [] });
    await again.client.sync();
    assert.deepEqual(again.received, ["one", "two"]);
    await again.client.close();
    const knowing = await open(fetch, { cursors: [...cursors.values()] });
    await knowing.client.sync();
    assert.deepEqual(knowing.received, []);
    await knowing.client.close();
    await writer.client.close();
  });

  it("sends exactly the same bytes again after a restart", async () => {
    const server = new SimulatedServer();
    const sent: string[] = [];
    const store = new MemoryStore();
    const deaf = tapped(server, (body) => {
      if (body.payload !== undefined) sent.push(JSON.stringify(body.payload));
      throw new TypeError("the connection broke");
    });
    const first = await open(deaf, { store });
    await first.client.appendAll(["one", "two"]);
    await until(() => sent.length > 0 && first.client.status.state === "offline");
    await first.client.close();
    const again = await open(
      tapped(server, (body) => {
        if (body.payload !== undefined) sent.push(JSON.stringify(body.payload));
        return undefined;
      }),
      { store },
    );
    assert.deepEqual(again.client.status, { state: "pending", pending: 2 });
    await again.client.sync();
    assert.ok(sent.length >= 2);
    assert.equal(new Set(sent).size, 1);
    await again.client.close();
  });

  it("gives a server that lost its operations all of them back, though it appends nothing more", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const store = new MemoryStore();
    const writer = await open(fetch, { store });
    await writer.client.appendAll(["zero", "one"]);
    await writer.client.sync();
    await server.backUp();
    await writer.client.appendAll(["two", "three"]);
    await writer.client.sync();
    await writer.client.close();
    await server.restore();
    const again = await open(fetch, { store });
    await again.client.sync();
    assert.deepEqual(again.changes, []);
    const reader = await open(fetch);
    await reader.client.sync();
    assert.deepEqual(reader.received, ["zero", "one", "two", "three"]);
    await again.client.close();
    await reader.client.close();
  });

  it("takes a new client id when its own is in use twice, moves what is unsent, and tells the app", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const store = new MemoryStore();
    const original = await open(fetch, { store });
    await original.client.append("both have it");
    await original.client.sync();
    const id = original.client.client;
    const copy = new MemoryStore();
    await copy.begin(id);
    await copy.append(id, 0, await store.read(id, 0, 1, EVER));
    await copy.acknowledge(id, 1);
    await original.client.append("of the original");
    await original.client.sync();
    const cloned = await open(fetch, { store: copy });
    await cloned.client.appendAll(["of the copy", "of the copy too"]);
    await cloned.client.sync();
    const [change, ...others] = cloned.changes;
    assert.deepEqual(others, []);
    const to = cloned.client.client;
    assert.notEqual(to, id);
    const { first = 0, count = 0 } = change ?? {};
    assert.deepEqual({ ...change, first, count }, { from: id, to, first: 1, count });
    assert.deepEqual(cloned.received, ["of the original"]);
    assert.deepEqual(await createdBy(cloned.client), [
      "both have it",
      "of the copy",
      "of the copy too",
    ]);
    await original.client.sync();
    assert.deepEqual(original.received, ["of the copy", "of the copy too"]);
    assert.equal(original.client.client, id);
    await original.client.close();
    await cloned.client.close();
    const again = await open(fetch, { store: copy });
    await again.client.sync();
    assert.deepEqual(again.received, [], "what came under the old id is not delivered once more");
  });

  /** An installation with two operations, of which it believes the server to have some. */
  async function ofTwo(acknowledged = 1): Promise<{ store: MemoryStore; id: string }> {
    const store = new MemoryStore();
    const id = crypto.randomUUID();
    const ours = await sealed(identity, id, ["zero", "one"]);
    await store.begin(id);
    await store.append(
      id,
      0,
      ours.map(({ payload }) => payload),
    );
    await store.acknowledge(id, acknowledged);
    return { store, id };
  }

  it("moves an operation that was acknowledged, and that a copy has taken the place of since", async () => {
    const server = new SimulatedServer();
    const { store, id } = await ofTwo(2);
    const copy = new MemoryStore();
    await copy.begin(id);
    await copy.append(id, 0, await store.read(id, 0, 1, EVER));
    const fetch: Fetch = (request) => server.fetch(request);
    const cloned = await open(fetch, { store: copy });
    await cloned.client.append("rival one");
    await cloned.client.sync();
    const { client, changes } = await open(fetch, { store });
    await client.sync();
    assert.deepEqual(changes, [{ from: id, to: client.client, first: 1, count: 1 }]);
    await cloned.client.sync();
    assert.deepEqual(cloned.received, ["one"]);
  });

  it("is not sent its own operations back while it sends them again", async () => {
    const server = new SimulatedServer({ MAX_BODY: "8KiB" });
    const fetch: Fetch = (request) => server.fetch(request);
    const store = new MemoryStore();
    const first = await open(fetch, { store });
    await first.client.appendAll(["0", "1", "2"].map((text) => text.repeat(3000)));
    await first.client.sync();
    await first.client.close();
    await store.acknowledge(first.client.client, 0);
    const onRefusal = () => assert.fail("it was refused");
    const again = await open(fetch, { store, onRefusal });
    await again.client.sync();
    assert.deepEqual(again.changes, []);
  });

  it("moves all that a copy has taken the place of, though it was thought to be stored", async () => {
    const server = new SimulatedServer();
    const { store, id } = await ofTwo();
    const copy = new MemoryStore();
    await copy.begin(id);
    const fetch: Fetch = (request) => server.fetch(request);
    const cloned = await open(fetch, { store: copy });
    await cloned.client.appendAll(["rival zero", "rival one"]);
    await cloned.client.sync();
    const { client, changes, received } = await open(fetch, { store });
    await client.sync();
    assert.deepEqual(changes, [{ from: id, to: client.client, first: 0, count: 2 }]);
    assert.deepEqual(received, ["rival zero", "rival one"]);
    await cloned.client.sync();
    assert.deepEqual(cloned.received, ["zero", "one"]);
  });

  it("moves what comes behind a fork, where the server has both", async () => {
    const server = new SimulatedServer();
    const { store, id } = await ofTwo();
    const [, rival] = await sealed(identity, id, ["rival zero", "rival one"]);
    const { client, changes } = await open(
      tapped(server, ({ client_id, payload, operation_index: first = 0, sync_status: known }) => {
        if (client_id !== id) return undefined;
        if (payload === undefined) {
          const line = { client_id: id, operation_index: 1, payload: rival?.payload };
          return counted(known[id] === 0 ? [`${JSON.stringify(line)}\n`] : []);
        }
        if (first + payload.length < 2) return undefined;
        return problem(409, "operation-conflict", { operation_index: 1 });
      }),
      { store },
    );
    await client.sync();
    assert.deepEqual(changes, [{ from: id, to: client.client, first: 1, count: 1 }]);
  });

  it("finds where a copy parted from it, though the server has lost what came after that", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const store = new MemoryStore();
    const original = await open(fetch, { store });
    const id = original.client.client;
    await original.client.appendAll(["both have it", "this too"]);
    await original.client.sync();
    const copy = new MemoryStore();
    await copy.begin(id);
    await copy.append(id, 0, await store.read(id, 0, 2, EVER));
    await copy.acknowledge(id, 2);
    await server.backUp();
    await original.client.appendAll(["lost", "lost too"]);
    await original.client.sync();
    await original.client.close();
    await server.restore();
    const cloned = await open(fetch, { store: copy });
    await cloned.client.appendAll(["of the copy", "and", "more of it"]);
    await cloned.client.sync();
    assert.equal(cloned.client.client, id);
    const again = await open(fetch, { store });
    await again.client.append("new");
    await again.client.sync();
    const to = again.client.client;
    assert.deepEqual(again.changes, [{ from: id, to, first: 2, count: 3 }]);
    assert.deepEqual(again.received, ["of the copy", "and", "more of it"]);
    assert.deepEqual(again.client.refusals, []);
    await cloned.client.sync();
    assert.deepEqual(cloned.received, ["lost", "lost too", "new"]);
  });

  it("refuses a text that would not come back as it is", async () => {
    const server = new SimulatedServer();
    const { client } = await open((request) => server.fetch(request));
    await assert.rejects(client.appendAll(["one", "\ud800"]), TypeError);
    assert.deepEqual(await client.append(""), { client: client.client, index: 0 });
    await client.sync();
    assert.deepEqual(await createdBy(client), [""]);
  });

  it("goes on when the app fails to take a status, and leaves that uncaught", async () => {
    const server = await serveHere();
    try {
      const command = commandFor(join("tests", "support", "faulty-app.ts"));
      const program = { command, folder: projectFolder };
      const { code, stdout, stderr } = await runToEnd([server.url], {}, program);
      assert.equal(code, 0, stderr);
      const { uncaught, ...status } = JSON.parse(stdout);
      assert.deepEqual(status, { state: "synced", pending: 0 });
      assert.ok(uncaught.includes("it cannot show synced"), stdout);
    } finally {
      await server.close();
    }
  });

  it("sends what another client of the same place has left unsent", async () => {
    const server = new SimulatedServer();
    const left = new MemoryStore();
    const gone = await open(() => Promise.reject(new TypeError("offline")), { store: left });
    await gone.client.append("left behind");
    await gone.client.close();
    const place: Store = new MemoryStore();
    let given = false;
    place.abandoned = async () => {
      if (given) return [];
      given = true;
      return [left];
    };
    const fetch: Fetch = (request) => server.fetch(request);
    const { client, received } = await open(fetch, { store: place });
    await client.sync();
    assert.deepEqual(received, ["left behind"]);
    assert.equal((await left.load()).own[0]?.acknowledged, 1);
    await client.close();
  });
});

describe("a client that sends what another one has left", () => {
  it("takes what that one had sent in its own name, without a hole", async () => {
    const server = new SimulatedServer({ MAX_BODY: "8KiB" });
    const fetch: Fetch = (request) => server.fetch(request);
    const left = new MemoryStore();
    const gone = await open(fetch, { store: left });
    const texts = ["0", "1", "2"].map((text) => text.repeat(3000));
    await gone.client.appendAll(texts);
    await gone.client.sync();
    await gone.client.close();
    await left.acknowledge(gone.client.client, 0);
    const place: Store = new MemoryStore();
    const found = [left];
    place.abandoned = async () => found.splice(0);
    const onRefusal = () => assert.fail("it was refused");
    const { client, received } = await open(fetch, { store: place, onRefusal });
    await client.sync();
    assert.deepEqual(received, texts);
    assert.equal((await left.load()).own[0]?.acknowledged, 3);
  });
});

describe("a client at a server that does not take everything", () => {
  it("waits as long as Retry-After says, and longer with each failure otherwise", async () => {
    const server = new SimulatedServer();
    const clock = new NotingClock();
    const { client, statuses } = await open(
      tapped(server, (_, number) => {
        if (number === 0) {
          return new Response(null, { status: 503, headers: { "Retry-After": "77" } });
        }
        if (number === 1) {
          const date = new Date(clock.now() + 99_000).toUTCString();
          return new Response(null, { status: 429, headers: { "Retry-After": date } });
        }
        if (number < 8) throw new TypeError("the connection broke");
        return undefined;
      }),
      { clock, random: () => 0.5 },
    );
    await client.sync();
    assert.equal(clock.waits[0], 77_000);
    assert.ok((clock.waits[1] ?? 0) > 97_000 && (clock.waits[1] ?? 0) <= 99_000);
    const rest = clock.waits.slice(2);
    assert.deepEqual(rest, [3000, 6000, 12_000, 24_000, 48_000, 96_000]);
    const states = statuses.map(({ state }) => state);
    assert.deepEqual(states.slice(0, 3), ["offline", "pending", "offline"]);
    assert.equal(states.at(-1), "synced");
    await client.close();
  });

  it("gives a server that says nothing up after a while, and tries again", async () => {
    const server = new SimulatedServer();
    const asked: AbortSignal[] = [];
    const { client } = await open(
      (request) => {
        if (asked.push(request.signal) > 1) return server.fetch(request);
        return new Promise((_, reject) => {
          request.signal.addEventListener("abort", () => reject(request.signal.reason));
        });
      },
      { idleTimeout: 10_000 },
    );
    await until(() => client.status.state === "synced");
    assert.equal(asked[0]?.aborted, true);
    assert.equal(asked.length, 2);
    await client.close();
  });

  it("waits longer for an answer to more bytes, as the server waits longer for them", async () => {
    const waits: number[] = [];
    const sent: number[] = [];
    const clock: Clock = {
      now: () => 0,
      sleep: (milliseconds, signal) => {
        if (milliseconds !== EVER) waits.push(milliseconds);
        return new Promise((resolve) => signal.addEventListener("abort", () => resolve()));
      },
    };
    const server = new SimulatedServer();
    const fetch = tapped(server, (body) => {
      sent.push(JSON.stringify(body).length);
      return undefined;
    });
    const { client } = await open(fetch, { clock, idleTimeout: 10_000 });
    await client.append("x".repeat(100_000));
    await client.sync();
    const largest = Math.max(...sent);
    assert.ok(largest > 100_000);
    assert.equal(Math.max(...waits), 10_000 + Math.ceil((largest * 1000) / 4096));
  });

  it("does not wait where it was told to hurry while a request was failing", async () => {
    const clock = new NotingClock();
    const server = new SimulatedServer();
    const answers: ((answer: Response) => void)[] = [];
    const { client } = await open(
      tapped(server, (_, number) =>
        number === 0 ? new Promise((resolve) => answers.push(resolve)) : undefined,
      ),
      { clock },
    );
    await until(() => answers.length > 0);
    const synced = client.sync();
    answers[0]?.(new Response(null, { status: 502 }));
    await synced;
    assert.deepEqual(clock.waits, []);
  });

  it("says why it waits when it has asked too much", async () => {
    const server = new SimulatedServer();
    const { client, statuses } = await open(
      tapped(server, (_, number) => (number === 0 ? problem(429, "new-users-limited") : undefined)),
    );
    await until(() => client.status.state === "synced");
    assert.deepEqual(statuses[0], { state: "pending", pending: 0, why: "So it is." });
  });

  it("sends less at once to a server that they reach too slowly", async () => {
    const server = new SimulatedServer();
    const sizes: number[] = [];
    const { client } = await open(
      tapped(server, ({ payload }) => {
        sizes.push(payload?.length ?? 0);
        return (payload?.length ?? 0) > 3 ? problem(408, "request-timeout") : undefined;
      }),
    );
    const texts = Array.from({ length: 10 }, (_, i) => `operation ${i}`);
    await client.appendAll(texts);
    await client.sync();
    assert.deepEqual(sizes.filter((size) => size > 0).slice(0, 2), [10, 5]);
    const reader = await open((request) => server.fetch(request));
    await reader.client.sync();
    assert.deepEqual(reader.received, texts);
  });

  it("goes back step by step, however many gaps a server tells", async () => {
    const server = new SimulatedServer();
    const store = new MemoryStore();
    const writer = await open((request) => server.fetch(request), { store });
    await writer.client.appendAll(Array.from({ length: 10 }, (_, i) => `operation ${i}`));
    await writer.client.sync();
    await writer.client.close();
    const again = await open(
      tapped(server, ({ operation_index: first = 0, payload }) =>
        payload !== undefined && first > 1
          ? problem(409, "operation-gap", { next_index: first - 1 })
          : undefined,
      ),
      { store },
    );
    await again.client.sync();
    assert.deepEqual(again.client.status, { state: "synced", pending: 0 });
  });

  it("keeps reading while its operations are over the quota, and says why they wait", async () => {
    const server = new SimulatedServer();
    const other = await open((request) => server.fetch(request));
    await other.client.append("from elsewhere");
    await other.client.sync();
    let full = true;
    const { client, received } = await open(
      tapped(server, ({ payload }) =>
        full && payload !== undefined ? problem(507, "quota-exceeded") : undefined,
      ),
    );
    await client.append("too much");
    await assert.rejects(
      client.sync(),
      (error) => error instanceof ServerRejected && error.status === 507,
    );
    assert.deepEqual(received, ["from elsewhere"]);
    assert.deepEqual(client.status, {
      state: "refused",
      pending: 1,
      why: "So it is.",
      final: false,
    });
    full = false;
    await client.sync();
    assert.deepEqual(client.status, { state: "synced", pending: 0 });
    await other.client.close();
    await client.close();
  });

  it("keeps reading while one operation is larger than the server takes", async () => {
    const server = new SimulatedServer({ MAX_BODY: "4KiB" });
    const { client } = await open((request) => server.fetch(request));
    await client.appendAll(["small", "x".repeat(5000), "small too"]);
    await assert.rejects(
      client.sync(),
      (error) => error instanceof ServerRejected && error.status === 413,
    );
    assert.equal(client.status.pending, 2);
    await client.close();
  });

  it("stops for good when the user was erased", async () => {
    let asked = 0;
    const { client } = await open(async () => {
      asked++;
      return problem(410, "user-erased");
    });
    await assert.rejects(
      client.sync(),
      (error) => error instanceof ServerRejected && error.status === 410,
    );
    assert.deepEqual(client.status, {
      state: "refused",
      pending: 0,
      why: "So it is.",
      final: true,
    });
    await assert.rejects(client.sync(), ServerRejected);
    assert.equal(asked, 1);
    await client.close();
  });

  it("tries a refusal again at growing intervals, and takes a page of a proxy for what its status says", async () => {
    const server = new SimulatedServer();
    const clock = new NotingClock();
    const { client, statuses } = await open(
      tapped(server, (_, number) => {
        if (number < 3) return problem(403, "user-not-allowed");
        return number === 3 ? new Response("<h1>Gone fishing</h1>", { status: 404 }) : undefined;
      }),
      { clock, random: () => 0 },
    );
    await until(() => client.status.state === "synced");
    assert.deepEqual(clock.waits, [500, 1000, 2000, 4000]);
    const why = statuses.flatMap((status) => (status.state === "refused" ? [status.why] : []));
    assert.deepEqual(why, ["So it is.", "the server answered with status 404"]);
    await client.close();
  });

  it("corrects its clock once by the server's Date, and signs anew", async () => {
    const clock = new JumpingClock();
    const truth = clock.now() + 3600_000;
    const created: number[] = [];
    const { client } = await open(
      (request) => {
        const at = Number(/created=(\d+)/.exec(request.headers.get("signature-input") ?? "")?.[1]);
        created.push(at);
        if (Math.abs(at * 1000 - truth) < 300_000) return Promise.resolve(counted([]));
        const headers = { Date: new Date(truth).toUTCString() };
        return Promise.resolve(new Response(null, { status: 401, headers }));
      },
      { clock, sign: true },
    );
    await client.sync();
    await client.sync();
    assert.ok(created.length > 2);
    assert.ok((created[0] ?? 0) * 1000 < truth - 300_000);
    for (const at of created.slice(1)) assert.equal(at, Math.floor(truth / 1000), "it is kept");
    await client.close();
  });

  const broken: readonly [string, (lines: string[]) => Response][] = [
    ["has no Operation-Count", (lines) => new Response(lines.join(""))],
    ["has fewer lines than it says", (lines) => counted(lines.slice(0, 1), lines.length)],
    ["has more lines than it says", (lines) => counted(lines, 1)],
    ["ends within a line", (lines) => counted([lines.join("").slice(0, -1)], lines.length)],
    ["has a line that is no JSON", (lines) => counted([...lines.slice(0, 1), "{\n"], 2)],
    ["has a line that is no operation", (lines) => counted([...lines.slice(0, 1), "{}\n"], 2)],
  ];
  for (const [what, answer] of broken) {
    it(`takes of an answer that ${what} what is whole, and asks again`, async () => {
      const client = crypto.randomUUID();
      const lines = (await sealed(identity, client, ["zero", "one"])).map(
        ({ index, payload }) =>
          `${JSON.stringify({ client_id: client, operation_index: index, payload, extra: 1 })}\n`,
      );
      const known: number[] = [];
      const app = await open(async (request) => {
        const { sync_status: status }: Body = JSON.parse(await request.text());
        known.push(status[client] ?? -1);
        if (known.length === 1) return answer(lines);
        return counted(lines.slice((status[client] ?? -1) + 1));
      });
      await app.client.sync();
      assert.deepEqual(app.received, ["zero", "one"]);
      assert.equal(known[1], what === "has no Operation-Count" ? -1 : 0);
      assert.deepEqual(app.client.refusals, []);
      await app.client.close();
    });
  }

  it("takes nothing for stored on the word of somebody who is no server", async () => {
    const server = new SimulatedServer();
    const strangers = [
      new Response("<h1>Log in</h1>", { headers: { "Content-Type": "text/html" } }),
      new Response(null, { status: 204 }),
    ];
    const { client } = await open(
      tapped(server, ({ payload }) => (payload === undefined ? undefined : strangers.shift())),
    );
    await client.append("one");
    await client.sync();
    assert.deepEqual(strangers, []);
    const reader = await open((request) => server.fetch(request));
    await reader.client.sync();
    assert.deepEqual(reader.received, ["one"]);
  });

  it("does not believe a server that answers with gaps and conflicts without end", async () => {
    for (const answer of [
      (first: number) => problem(409, "operation-gap", { next_index: first }),
      (first: number) => problem(409, "operation-conflict", { operation_index: first }),
      () => problem(409, "operation-gap", { next_index: -1 }),
      () => problem(409, "operation-conflict", {}),
    ]) {
      const { client } = await open(
        tapped(new SimulatedServer(), ({ operation_index: first = 0 }) => answer(first)),
      );
      await client.append("one");
      await assert.rejects(client.sync(), ServerRejected);
      await client.close();
    }
  });
});

describe("a client that is closed", () => {
  it("ends what waits for it, and the request under way", async () => {
    const aborted: unknown[] = [];
    const { client } = await open(
      (request) =>
        new Promise((_, reject) => {
          request.signal.addEventListener("abort", () => {
            aborted.push(request.signal.reason);
            reject(request.signal.reason);
          });
        }),
    );
    const waiting = client.sync();
    const rejected = assert.rejects(waiting, { name: "AbortError" });
    await turn();
    await client.close();
    await rejected;
    await assert.rejects(client.append("too late"), { name: "AbortError" });
    await assert.rejects(client.sync(), { name: "AbortError" });
    assert.equal(aborted.length, 1);
  });

  it("is so by its signal as well; and a signal of one wait ends that wait alone", async () => {
    const offline: Fetch = (request) =>
      new Promise((_, reject) => {
        request.signal.addEventListener("abort", () => reject(request.signal.reason));
      });
    const [all, one] = [new AbortController(), new AbortController()];
    const { client } = await open(offline, { signal: all.signal });
    const waiting = assert.rejects(client.sync(one.signal), { message: "enough" });
    const other = assert.rejects(client.sync(), { message: "the end" });
    one.abort(new Error("enough"));
    await waiting;
    await assert.rejects(client.append("x", one.signal), { message: "enough" });
    all.abort(new Error("the end"));
    await other;
    await client.close();
  });
});

function counted(lines: readonly string[], count = lines.length): Response {
  return new Response(lines.join(""), { headers: { "Operation-Count": String(count) } });
}
