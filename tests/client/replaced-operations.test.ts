/**
 * The server holds in the place of a client's next operation what the user has not made. Anyone who
 * knew the public key before the first signed request can have stored it there.
 */
import assert from "node:assert/strict";
import { before, describe, it } from "node:test";
import { type Identity, type Refusal, ServerRejected } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { utf8 } from "../../protocol/bytes.ts";
import type { Line } from "../../protocol/types.ts";
import { newIdentity } from "../support/private-keys.ts";
import { createEach, sealed } from "../support/sealed.ts";
import { SimulatedServer, URL_OF_SERVER } from "../support/simulated-network.ts";
import {
  answer,
  type Body,
  createdBy,
  entriesOn,
  type Fetch,
  intercepted,
  lineOf,
  problem,
  sendEach,
  textsOf,
  useApps,
} from "../support/sync-app.ts";

const apps = useApps();
let stranger: Identity;
before(async () => {
  stranger = await newIdentity();
});

/** Stores a payload under the next operation index of a client, without the private key. */
async function forge(server: SimulatedServer, client: string, index: number, payload = "AQAA") {
  const { publicKey: user } = apps.identity;
  const body = { user, client_id: client, operation_index: index, payload: [payload] };
  const request = new Request(`${URL_OF_SERVER}/sync`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ ...body, sync_status: {} }),
  });
  assert.equal((await server.fetch(request)).status, 200);
}

/** A server that has these lines and no others. */
function showing(lines: readonly Line[]): Fetch {
  return async (request) => {
    const { sync_status: status }: Body = JSON.parse(await request.text());
    const wanted = lines.filter(({ client, index }) => index > (status[client] ?? -1));
    return answer(wanted.map(lineOf));
  };
}

/** Opens a writer whose first operation the server has acknowledged. */
async function openWriter(server: SimulatedServer) {
  const store = new MemoryStore();
  const writer = await apps.open((request) => server.fetch(request), { store });
  await writer.client.append("zero");
  await writer.client.sync();
  return { writer, store, from: writer.client.client };
}

/** A store of which the server has the first operation, and these are not sent yet. */
async function storeWithUnsent(server: SimulatedServer, texts: readonly string[]) {
  const { writer, store, from } = await openWriter(server);
  await writer.client.close();
  await createEach(apps.identity, store, texts);
  return { store, from };
}

/** The operations of a client that a store holds, from an index on, as a server sends them. */
async function linesIn(store: MemoryStore, client: string, first = 0): Promise<Line[]> {
  const payloads = await store.read(client, first, 10, Number.POSITIVE_INFINITY);
  return payloads.map((payload, i) => ({ client, index: first + i, payload }));
}

/** What one device receives, without a refusal, from servers that have these lines, in turn. */
async function receivedFrom(answers: readonly (readonly Line[])[]): Promise<string[]> {
  const store = new MemoryStore();
  const received: string[] = [];
  for (const lines of answers) {
    const reader = await apps.open(showing(lines), { store });
    await reader.client.sync();
    assert.deepEqual(reader.client.refusals, []);
    received.push(...reader.received);
    const kept = textsOf(await entriesOn(reader.client));
    assert.deepEqual(kept.toSorted(), received.toSorted(), "what is kept");
    await reader.client.close();
  }
  return received;
}

/** A body that comes in several parts. */
function inParts(parts: readonly string[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start: (controller) => {
      for (const part of parts) controller.enqueue(utf8(part));
      controller.close();
    },
  });
}

describe("operations in whose place the server has a forged one", () => {
  it("T-03 go on under a new client id, and every device gets each once", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const fetch: Fetch = (request) => server.fetch(request);
    const refusals: Refusal[] = [];
    const onRefusal = (refusal: Refusal) => refusals.push(refusal);
    const stores = [new MemoryStore(), new MemoryStore()] as const;
    const writer = await apps.open(fetch, { store: stores[0], onRefusal });
    const reader = await apps.open(fetch, { store: stores[1], onRefusal });
    const from = writer.client.client;
    await sendEach(writer.client, ["zero", "one"]);
    await reader.client.sync();
    await forge(server, from, 2);
    await reader.client.sync();
    assert.deepEqual(reader.client.refusals, [{ kind: "forged", client: from, index: 2 }]);
    refusals.length = 0;

    await writer.client.appendAll(["two", "three"]);
    await writer.client.sync();
    assert.deepEqual(writer.client.status, {
      state: "synced",
      pending: 0,
      refused: 0,
      live: false,
    });
    const to = writer.client.client;
    assert.deepEqual(writer.changes, [{ from, to, first: 2, count: 1 }]);
    await writer.client.append("four");
    await writer.client.sync();
    assert.deepEqual(await createdBy(writer.client), ["zero", "one", "two", "three", "four"]);

    await reader.client.sync();
    assert.deepEqual(reader.received, ["zero", "one", "two", "three", "four"]);
    for (const { client } of [writer, reader]) await client.close();
    for (const store of stores) {
      const again = await apps.open(fetch, { store, onRefusal });
      await again.client.sync();
      assert.deepEqual(again.received, []);
    }
    assert.deepEqual(refusals, [], "what is in the old place no longer matters");
    const fresh = await apps.open(fetch);
    await fresh.client.sync();
    assert.deepEqual(fresh.received.toSorted(), ["four", "one", "three", "two", "zero"]);
    assert.deepEqual(fresh.client.refusals, []);
  });

  it("go on whatever the server has there: garbage, another version, what was copied from elsewhere", async () => {
    const [elsewhere] = await sealed(apps.identity, crypto.randomUUID(), ["elsewhere"]);
    const forger = { ...apps.identity, keys: { ...apps.identity.keys, sign: stranger.keys.sign } };
    for (const make of [
      async () => "not base64url!",
      async () => "_wAA",
      async () => elsewhere?.payload,
      async (client: string) => (await sealed(forger, client, ["forged"], 1))[0]?.payload,
    ]) {
      const server = new SimulatedServer({ LISTING_TTL: "0" });
      const { writer, from } = await openWriter(server);
      await forge(server, from, 1, await make(from));
      await writer.client.append("one");
      await writer.client.sync();
      const reader = await apps.open((request) => server.fetch(request));
      await reader.client.sync();
      assert.deepEqual(reader.received.toSorted(), ["one", "zero"]);
    }
  });

  it("are not delivered twice where the server had shown them to a device before it denied them", async () => {
    for (const order of ["old first", "new first", "a part of the old first"]) {
      const server = new SimulatedServer({ LISTING_TTL: "0" });
      const { store, from } = await storeWithUnsent(server, ["one", "two", "three"]);
      const [first, ...old] = await linesIn(store, from);
      await forge(server, from, 1);
      const writer = await apps.open((request) => server.fetch(request), { store });
      await writer.client.sync();
      const to = writer.client.client;
      assert.notEqual(to, from);
      const moved = await linesIn(store, to);
      const [one, two, three] = old;
      const [newOne, ...rest] = moved;
      assert.ok(first && one && two && three && newOne);
      const answers =
        order === "old first"
          ? [[first, ...old], moved]
          : order === "new first"
            ? [[first, ...moved], old]
            : [[first, one, two], [newOne], [three], rest];
      const received = await receivedFrom(answers);
      assert.deepEqual(received.toSorted(), ["one", "three", "two", "zero"], order);

      await writer.client.close();
      const again = await apps.open(showing([first, ...old]), { store });
      await again.client.sync();
      assert.deepEqual(again.received, [], "nor to the device that made them");
    }
  });

  it("are delivered where a copy of the device has stored others in the same place", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const { writer, store, from } = await openWriter(server);
    const [zero = ""] = await store.read(from, 0, 1, 0);
    const copy = new MemoryStore();
    await copy.begin(from);
    await copy.append(from, 0, [zero]);
    await copy.acknowledge(from, 1);
    const own = new SimulatedServer({ LISTING_TTL: "0" });
    const cloned = await apps.open((request) => own.fetch(request), { store: copy });
    await cloned.client.append("of the copy");
    await cloned.client.sync();
    const shown = await linesIn(copy, from);
    await forge(server, from, 1);
    await writer.client.append("one");
    await writer.client.sync();
    const moved = await linesIn(store, writer.client.client);
    for (const answers of [
      [shown, moved],
      [moved, shown],
    ]) {
      const received = await receivedFrom(answers);
      assert.deepEqual(received.toSorted(), ["of the copy", "one", "zero"]);
    }
  });

  it("are not moved once more while the server has stored nothing under the new client id", async () => {
    const { client, changes } = await apps.open(
      intercepted(new SimulatedServer(), ({ client_id: id, operation_index: index, payload }) =>
        payload === undefined
          ? answer([lineOf({ client: id, index: 0, payload: "AQAA" })])
          : problem(409, "operation-conflict", { operation_index: index }),
      ),
    );
    await client.append("one");
    await assert.rejects(client.sync(), ServerRejected);
    await assert.rejects(client.sync(), ServerRejected);
    assert.equal(changes.length, 1);
  });

  it("are found in an answer that begins with those of another client and comes in parts", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const { writer, store, from } = await openWriter(server);
    await forge(server, from, 1);
    await writer.client.close();
    const other = crypto.randomUUID();
    const [elsewhere] = await sealed(apps.identity, other, ["elsewhere"]);
    const own = await linesIn(store, from);
    assert.ok(elsewhere);
    const lines = [elsewhere, ...own, { client: from, index: 1, payload: "AQAA" }].map(lineOf);
    const again = await apps.open(
      intercepted(server, ({ payload, client_id: id, sync_status: status }) => {
        if (id !== from || payload !== undefined || status[from] !== undefined) return undefined;
        const { headers } = answer(lines);
        return new Response(inParts([lines.slice(0, 2).join(""), lines.slice(2).join("")]), {
          headers,
        });
      }),
      { store },
    );
    await again.client.append("one");
    await again.client.sync();
    assert.deepEqual(
      again.changes.map(({ first, count }) => [first, count]),
      [[1, 1]],
    );
  });

  it("keep what they stand for when they are moved a second time", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const { store, from } = await storeWithUnsent(server, ["one", "two", "three"]);
    const shown = await linesIn(store, from);
    await forge(server, from, 1);
    let moved: string | undefined;
    const writer = await apps.open(
      intercepted(server, async ({ client_id: id, payload: [first] = [] }) => {
        if (first === undefined || id === from || moved !== undefined) return undefined;
        moved = id;
        await forge(server, id, 0, first);
        await forge(server, id, 1);
        return new Response(null, { status: 503 });
      }),
      { store },
    );
    await writer.client.sync();
    assert.deepEqual(
      writer.changes.map(({ first, count }) => [first, count]),
      [
        [1, 3],
        [1, 2],
      ],
    );
    await writer.client.append("four");
    await writer.client.sync();

    const kept = new MemoryStore();
    const reader = await apps.open(showing(shown), { store: kept });
    await reader.client.sync();
    assert.deepEqual(reader.received, ["zero", "one", "two", "three"]);
    await reader.client.close();
    const again = await apps.open((request) => server.fetch(request), { store: kept });
    await again.client.sync();
    assert.deepEqual(again.received, ["four"]);
    const fresh = await apps.open((request) => server.fetch(request));
    await fresh.client.sync();
    assert.deepEqual(fresh.received.toSorted(), ["four", "one", "three", "two", "zero"]);
  });
});
