/** What a client appends: durable first, then sent unchanged, in batches. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Store } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";
import { createdBy, type Fetch, intercepted, useApps } from "../support/sync-app.ts";

const apps = useApps();

describe("an append", () => {
  it("is sent in batches, none larger than the server accepts", async () => {
    const server = new SimulatedServer({ MAX_BODY: "64KiB" });
    const sizes: number[] = [];
    const { client } = await apps.open(
      intercepted(server, ({ payload }) => {
        sizes.push(payload?.length ?? 0);
        return undefined;
      }),
    );
    await client.sync();
    const texts = Array.from({ length: 150 }, (_, i) => `entry ${i}`.padEnd(1000));
    await client.appendAll(texts);
    await client.sync();
    assert.ok(sizes.filter((size) => size > 0).length > 5, sizes.join());
    const reader = await apps.open((request) => server.fetch(request));
    await reader.client.sync();
    assert.deepEqual(reader.received, texts);
  });

  it("is sent with the same bytes after a restart", async () => {
    const server = new SimulatedServer();
    const sent: string[] = [];
    const store = new MemoryStore();
    const deaf = intercepted(server, (body) => {
      if (body.payload !== undefined) sent.push(JSON.stringify(body.payload));
      throw new TypeError("the connection broke");
    });
    const first = await apps.open(deaf, { store });
    await first.client.appendAll(["one", "two"]);
    await until(() => sent.length > 0 && first.client.status.state === "offline");
    await first.client.close();
    const again = await apps.open(
      intercepted(server, (body) => {
        if (body.payload !== undefined) sent.push(JSON.stringify(body.payload));
        return undefined;
      }),
      { store },
    );
    assert.deepEqual(again.client.status, {
      state: "pending",
      pending: 2,
      refused: 0,
      live: false,
    });
    await again.client.sync();
    assert.ok(sent.length >= 2);
    assert.equal(new Set(sent).size, 1);
  });

  it("that the store refuses is not sent, and the next one takes its index", async () => {
    const server = new SimulatedServer();
    const fetch: Fetch = (request) => server.fetch(request);
    const store: Store = new MemoryStore();
    const append = store.append.bind(store);
    let full = false;
    store.append = async (...of) => {
      if (full) throw new Error("the disk is full");
      await append(...of);
    };
    const { client } = await apps.open(fetch, { store });
    await client.append("one");
    await client.sync();
    full = true;
    await assert.rejects(client.append("lost"), /disk is full/);
    full = false;
    assert.deepEqual(await client.append("two"), {
      client: client.client,
      index: 1,
      position: 0,
    });
    await client.sync();
    const reader = await apps.open(fetch);
    await reader.client.sync();
    assert.deepEqual(reader.received, ["one", "two"]);
  });

  it("refuses a text that UTF-8 cannot represent", async () => {
    const server = new SimulatedServer();
    const { client } = await apps.open((request) => server.fetch(request));
    await assert.rejects(client.appendAll(["one", "\ud800"]), TypeError);
    assert.deepEqual(await client.append(""), {
      client: client.client,
      index: 0,
      position: 0,
    });
    await client.sync();
    assert.deepEqual(await createdBy(client), [""]);
  });
});
