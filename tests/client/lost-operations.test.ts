/** A server that was restored from a backup gets back what it lost. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryStore } from "../../client/memory.ts";
import { storeOf } from "../support/sealed.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { type Fetch, intercepted, problem, sendEach, useApps } from "../support/sync-app.ts";

const apps = useApps();

describe("a server that lost operations", () => {
  it("gets all of them back, although the client appends nothing more", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const store = new MemoryStore();
    const writer = await apps.open(fetch, { store });
    await sendEach(writer.client, ["zero", "one"]);
    await server.backUp();
    await sendEach(writer.client, ["two", "three"]);
    await writer.client.close();
    await server.restore();
    const again = await apps.open(fetch, { store });
    await again.client.sync();
    assert.deepEqual(again.changes, []);
    const reader = await apps.open(fetch);
    await reader.client.sync();
    assert.deepEqual(reader.received, ["zero", "one", "two", "three"]);
  });

  it("does not send a client its own operations back while the client sends them again", async () => {
    const server = new SimulatedServer({ MAX_BODY: "8KiB" });
    const fetch: Fetch = (request) => server.fetch(request);
    const store = new MemoryStore();
    const first = await apps.open(fetch, { store });
    await sendEach(
      first.client,
      ["0", "1", "2"].map((text) => text.repeat(3000)),
    );
    await first.client.close();
    await store.acknowledge(first.client.client, 0);
    const onRefusal = () => assert.fail("it was refused");
    const again = await apps.open(fetch, { store, onRefusal });
    await again.client.sync();
    assert.deepEqual(again.changes, []);
  });

  it("is followed back gap by gap", async () => {
    const server = new SimulatedServer();
    const texts = Array.from({ length: 10 }, (_, i) => `operation ${i}`);
    const { store } = await storeOf(apps.identity, texts);
    const writer = await apps.open((request) => server.fetch(request), { store });
    await writer.client.sync();
    await writer.client.close();
    const again = await apps.open(
      intercepted(server, ({ operation_index: first = 0, payload }) =>
        payload !== undefined && first > 1
          ? problem(409, "operation-gap", { next_index: first - 1 })
          : undefined,
      ),
      { store },
    );
    await again.client.sync();
    assert.deepEqual(again.client.status, { state: "synced", pending: 0, refused: 0, live: false });
  });
});
