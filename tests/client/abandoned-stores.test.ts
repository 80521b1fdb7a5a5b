/** Operations that an ended tab or process left unsent. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Store, StoreDamaged } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { type Fetch, sendEach, useApps } from "../support/sync-app.ts";

const apps = useApps();

describe("an abandoned store", () => {
  it("is found, and its operations are sent and delivered", async () => {
    const server = new SimulatedServer();
    const left = new MemoryStore();
    const gone = await apps.open(() => Promise.reject(new TypeError("offline")), { store: left });
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
    const { client, received } = await apps.open(fetch, { store: place });
    await client.sync();
    assert.deepEqual(received, ["left behind"]);
    assert.equal((await left.load()).own[0]?.acknowledged, 1);
  });

  it("is sent without a hole in the operations that its own client had sent", async () => {
    const server = new SimulatedServer({ MAX_BODY: "8KiB" });
    const fetch: Fetch = (request) => server.fetch(request);
    const left = new MemoryStore();
    const gone = await apps.open(fetch, { store: left });
    const texts = ["0", "1", "2"].map((text) => text.repeat(3000));
    await sendEach(gone.client, texts);
    await gone.client.close();
    await left.acknowledge(gone.client.client, 0);
    const place: Store = new MemoryStore();
    const found = [left];
    place.abandoned = async () => found.splice(0);
    const onRefusal = () => assert.fail("it was refused");
    const { client, received } = await apps.open(fetch, { store: place, onRefusal });
    await client.sync();
    assert.deepEqual(received, texts);
    assert.equal((await left.load()).own[0]?.acknowledged, 3);
  });

  it("that cannot be opened is closed and reported, and keeps nothing else from being sent", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const left = new MemoryStore();
    const offline: Fetch = () => Promise.reject(new TypeError("offline"));
    const gone = await apps.open(offline, { store: left });
    await gone.client.append("left behind");
    await gone.client.close();
    const broken = new MemoryStore();
    broken.load = () => Promise.reject(new StoreDamaged("it cannot be read"));
    let closed = 0;
    broken.close = async () => {
      closed++;
    };
    const place: Store = new MemoryStore();
    const found = [broken, left];
    place.abandoned = async () => found.splice(0);
    const { client, received } = await apps.open(fetch, { store: place });
    await client.append("own");
    await assert.rejects(client.sync(), /it cannot be read/);
    assert.deepEqual([...received].sort(), ["left behind"]);
    assert.deepEqual([client.status.pending, closed], [0, 1]);
  });

  it("keeps nothing else from being sent where none can be looked for", async () => {
    const server = new SimulatedServer();
    const place: Store = new MemoryStore();
    place.abandoned = () => Promise.reject(new Error("no permission"));
    const { client } = await apps.open((request) => server.fetch(request), { store: place });
    await client.append("own");
    await assert.rejects(client.sync(), /no permission/);
    assert.equal(client.status.pending, 0);
  });
});
