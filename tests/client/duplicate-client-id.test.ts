/** A client id in use twice: the operations move to a new one, and none is lost or created twice. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Cursor } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { RunVerifier } from "../../client/verify.ts";
import { sealed, storeOf } from "../support/sealed.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import {
  answer,
  entriesOn,
  type Fetch,
  intercepted,
  lineOf,
  NEVER,
  problem,
  sendEach,
  textsOf,
  useApps,
} from "../support/sync-app.ts";

const apps = useApps();

/** A store with two operations, of which the server is believed to have some. */
const storeOfTwo = (acknowledged = 1) => storeOf(apps.identity, ["zero", "one"], acknowledged);

describe("a client id in use twice", () => {
  it("is given up by the copy: unsent operations move to a new id, and the app is informed", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const store = new MemoryStore();
    const original = await apps.open(fetch, { store });
    await original.client.append("both have it");
    await original.client.sync();
    const id = original.client.client;
    const copy = new MemoryStore();
    await copy.begin(id);
    await copy.append(id, 0, await store.read(id, 0, 1, NEVER));
    await copy.acknowledge(id, 1);
    await original.client.append("of the original");
    await original.client.sync();
    const cloned = await apps.open(fetch, { store: copy });
    await cloned.client.appendAll(["of the copy", "of the copy too"]);
    await cloned.client.sync();
    const [change, ...others] = cloned.changes;
    assert.deepEqual(others, []);
    const to = cloned.client.client;
    assert.notEqual(to, id);
    const { first = 0, count = 0 } = change ?? {};
    assert.deepEqual({ ...change, first, count }, { from: id, to, first: 1, count });
    assert.deepEqual(cloned.received, ["of the original"]);
    assert.deepEqual(textsOf(await entriesOn(cloned.client)), [
      "both have it",
      "of the copy",
      "of the copy too",
      "of the original",
    ]);
    await original.client.sync();
    assert.deepEqual(original.received, ["of the copy", "of the copy too"]);
    assert.equal(original.client.client, id);
    await original.client.close();
    await cloned.client.close();
    const again = await apps.open(fetch, { store: copy });
    await again.client.sync();
    assert.deepEqual(again.received, [], "what came under the old id is not delivered once more");
  });

  it("goes on behind what was created under it, also where the app's cursor lies before that", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const { store, id } = await storeOfTwo(0);
    const original = await apps.open(fetch, { store });
    await original.client.sync();
    const copy = new MemoryStore();
    await copy.begin(id);
    await copy.append(id, 0, await store.read(id, 0, 2, NEVER));
    await copy.acknowledge(id, 2);
    const cursors: Cursor[] = [];
    const verifier = new RunVerifier(apps.identity);
    const [payload = ""] = await store.read(id, 0, 1, NEVER);
    const { cursor } = await verifier.verify(id, [{ client: id, index: 0, payload }], undefined);
    if (cursor !== undefined) cursors.push(cursor);
    await sendEach(original.client, ["of the original"]);
    const cloned = await apps.open(fetch, { store: copy });
    await sendEach(cloned.client, ["of the copy"]);
    assert.notEqual(cloned.client.client, id);
    await cloned.client.close();
    const again = await apps.open(fetch, { store: copy, cursors });
    await again.client.sync();
    assert.deepEqual(again.received, ["of the original"]);
    assert.deepEqual(again.client.refusals, []);
  });

  it("moves an acknowledged operation that a copy replaced on the server", async () => {
    const server = new SimulatedServer();
    const { store, id } = await storeOfTwo(2);
    const copy = new MemoryStore();
    await copy.begin(id);
    await copy.append(id, 0, await store.read(id, 0, 1, NEVER));
    const fetch: Fetch = (request) => server.fetch(request);
    const cloned = await apps.open(fetch, { store: copy });
    await cloned.client.append("other one");
    await cloned.client.sync();
    const { client, changes } = await apps.open(fetch, { store });
    await client.sync();
    assert.deepEqual(changes, [{ from: id, to: client.client, first: 1, count: 1 }]);
    await cloned.client.sync();
    assert.deepEqual(cloned.received, ["one"]);
  });

  it("moves all operations that a copy replaced, although they were believed to be stored", async () => {
    const server = new SimulatedServer();
    const { store, id } = await storeOfTwo();
    const copy = new MemoryStore();
    await copy.begin(id);
    const fetch: Fetch = (request) => server.fetch(request);
    const cloned = await apps.open(fetch, { store: copy });
    await sendEach(cloned.client, ["other zero", "other one"]);
    const { client, changes, received } = await apps.open(fetch, { store });
    await client.sync();
    assert.deepEqual(changes, [{ from: id, to: client.client, first: 0, count: 2 }]);
    assert.deepEqual(received, ["other zero", "other one"]);
    await cloned.client.sync();
    assert.deepEqual(cloned.received, ["zero", "one"]);
  });

  it("moves the operations after a fork of which the server has both sides", async () => {
    const server = new SimulatedServer();
    const { store, id } = await storeOfTwo();
    const [zero = ""] = await store.read(id, 0, 1, NEVER);
    const other = await sealed(apps.identity, id, ["other zero", "other one"]);
    const shown = [{ client: id, index: 0, payload: zero }, ...other];
    const { client, changes } = await apps.open(
      intercepted(
        server,
        ({ client_id, payload, operation_index: first = 0, sync_status: known }) => {
          if (client_id !== id) return undefined;
          if (payload === undefined) {
            return answer(known[id] === undefined ? shown.map(lineOf) : []);
          }
          if (first + payload.length < 2) return undefined;
          return problem(409, "operation-conflict", { operation_index: 1 });
        },
      ),
      { store },
    );
    await client.sync();
    assert.deepEqual(changes, [{ from: id, to: client.client, first: 1, count: 1 }]);
  });

  it("finds where a copy diverged, although the server has lost what came after that", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const store = new MemoryStore();
    const original = await apps.open(fetch, { store });
    const id = original.client.client;
    await sendEach(original.client, ["both have it", "this too"]);
    const copy = new MemoryStore();
    await copy.begin(id);
    await copy.append(id, 0, await store.read(id, 0, 2, NEVER));
    await copy.acknowledge(id, 2);
    await server.backUp();
    await sendEach(original.client, ["lost", "lost too"]);
    await original.client.close();
    await server.restore();
    const cloned = await apps.open(fetch, { store: copy });
    await sendEach(cloned.client, ["of the copy", "and", "more of it"]);
    assert.equal(cloned.client.client, id);
    const again = await apps.open(fetch, { store });
    await again.client.append("new");
    await again.client.sync();
    const to = again.client.client;
    assert.deepEqual(again.changes, [{ from: id, to, first: 2, count: 3 }]);
    assert.deepEqual(again.received, ["of the copy", "and", "more of it"]);
    assert.deepEqual(again.client.refusals, []);
    await cloned.client.sync();
    assert.deepEqual(cloned.received, ["lost", "lost too", "new"]);
  });
});
