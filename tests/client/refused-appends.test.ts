/** Appends that the server does not store, while reading goes on. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ServerRejected } from "../../client/index.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { intercepted, problem, useApps } from "../support/sync-app.ts";

const apps = useApps();

describe("a refused append", () => {
  it("is halved when it reaches the server too slowly", async () => {
    const server = new SimulatedServer();
    const sizes: number[] = [];
    const { client } = await apps.open(
      intercepted(server, ({ payload }) => {
        sizes.push(payload?.length ?? 0);
        return (payload?.length ?? 0) > 3 ? problem(408, "request-timeout") : undefined;
      }),
    );
    const texts = Array.from({ length: 10 }, (_, i) => `operation ${i}`);
    await client.appendAll(texts);
    await client.sync();
    assert.deepEqual(sizes.filter((size) => size > 0).slice(0, 2), [10, 5]);
    const reader = await apps.open((request) => server.fetch(request));
    await reader.client.sync();
    assert.deepEqual(reader.received, texts);
  });

  it("waits while the user is over the quota, and the status says why", async () => {
    const server = new SimulatedServer();
    const other = await apps.open((request) => server.fetch(request));
    await other.client.append("from elsewhere");
    await other.client.sync();
    let full = true;
    const { client, received } = await apps.open(
      intercepted(server, ({ payload }) =>
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
      why: "the server says: So it is.",
      final: false,
      refused: 0,
    });
    full = false;
    await client.sync();
    assert.deepEqual(client.status, { state: "synced", pending: 0, refused: 0 });
  });

  it("waits when one operation is larger than the server accepts", async () => {
    const server = new SimulatedServer({ MAX_BODY: "4KiB" });
    const { client } = await apps.open((request) => server.fetch(request));
    await client.appendAll(["small", "x".repeat(5000), "small too"]);
    await assert.rejects(
      client.sync(),
      (error) => error instanceof ServerRejected && error.status === 413,
    );
    assert.equal(client.status.pending, 2);
  });

  it("fails when a server reports gaps and conflicts without end", async () => {
    for (const answer of [
      (first: number) => problem(409, "operation-gap", { next_index: first }),
      (first: number) => problem(409, "operation-conflict", { operation_index: first }),
      () => problem(409, "operation-gap", { next_index: -1 }),
      () => problem(409, "operation-conflict", {}),
    ]) {
      const { client } = await apps.open(
        intercepted(new SimulatedServer(), ({ operation_index: first = 0 }) => answer(first)),
      );
      await client.append("one");
      await assert.rejects(client.sync(), ServerRejected);
      await client.close();
    }
  });
});
