/** Appends that the server does not store, while reading goes on. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ServerRejected } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { createEach, storeOf } from "../support/sealed.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";
import {
  answer,
  type Body,
  createdBy,
  type Fetch,
  intercepted,
  lineOf,
  problem,
  sendEach,
  useApps,
} from "../support/sync-app.ts";

const apps = useApps();

describe("a refused append", () => {
  it("is halved when it reaches the server too slowly", async () => {
    const server = new SimulatedServer();
    const sizes: number[] = [];
    // Alone, because the first of a session is longer than the others.
    const { store } = await storeOf(apps.identity, ["first"]);
    const first = await apps.open((request) => server.fetch(request), { store });
    await first.client.sync();
    await first.client.close();
    const texts = Array.from({ length: 10 }, (_, i) => `operation ${i}`);
    await createEach(apps.identity, store, texts);
    const { client } = await apps.open(
      intercepted(server, ({ payload }) => {
        sizes.push(payload?.length ?? 0);
        return (payload?.length ?? 0) > 3 ? problem(408, "request-timeout") : undefined;
      }),
      { store },
    );
    await client.sync();
    assert.deepEqual(sizes.filter((size) => size > 0).slice(0, 2), [10, 5]);
    const reader = await apps.open((request) => server.fetch(request));
    await reader.client.sync();
    assert.deepEqual(reader.received, ["first", ...texts]);
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
      code: "quota",
      why: "the server says: So it is.",
      final: false,
      refused: 0,
      live: false,
    });
    full = false;
    await client.sync();
    assert.deepEqual(client.status, { state: "synced", pending: 0, refused: 0, live: false });
  });

  it("that is larger than the server accepts stays on the device, and all others are sent", async () => {
    const server = new SimulatedServer({ MAX_BODY: "4KiB", LISTING_TTL: "0" });
    const fetch: Fetch = (request) => server.fetch(request);
    const large = "x".repeat(5000);
    const all = ["small", large, "small too", large, "and this"];
    const { store, id: from } = await storeOf(apps.identity, all);
    const { client, changes } = await apps.open(fetch, { store });
    const isTooLarge = (error: unknown) => error instanceof ServerRejected && error.status === 413;
    await assert.rejects(client.sync(), isTooLarge);
    const [first, second] = changes;
    assert.deepEqual(first, { from, to: first?.to, first: 2, count: 3 });
    assert.deepEqual(second, { from: first?.to, to: client.client, first: 2, count: 1 });
    const kept = [
      { client: from, index: 1 },
      { client: first?.to, index: 1 },
    ];
    assert.deepEqual(client.tooLarge, kept);
    assert.deepEqual(client.status, {
      state: "refused",
      pending: 2,
      refused: 0,
      live: false,
      code: "too-large",
      why: "Operations that are too large for the server stay on this device: 2.",
      final: false,
    });
    const reader = await apps.open(fetch);
    await reader.client.sync();
    assert.deepEqual(reader.received.toSorted(), ["and this", "small", "small too"]);
    assert.deepEqual(await createdBy(client), all);

    await client.close();
    const again = await apps.open(fetch, { store });
    await again.client.append("later");
    await assert.rejects(again.client.sync(), isTooLarge);
    assert.deepEqual(again.changes, [], "they are not moved once more");
    assert.deepEqual(again.client.tooLarge, kept);
    await reader.client.sync();
    assert.equal(reader.received.at(-1), "later");

    await again.client.close();
    const raised = new SimulatedServer({ LISTING_TTL: "0" });
    const other = await apps.open((request) => raised.fetch(request), { store });
    await other.client.sync();
    assert.deepEqual(other.client.tooLarge, []);
  });

  it("that is too large for a proxy, which does not say its limit, holds up no others either", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const { client } = await apps.open(
      intercepted(server, ({ payload = [] }) =>
        payload.join("").length > 40_000
          ? new Response("<h1>413</h1>", { status: 413 })
          : undefined,
      ),
    );
    const texts = Array.from({ length: 30 }, (_, i) => `entry ${i}`);
    await client.appendAll([...texts, "x".repeat(40_000)]);
    await assert.rejects(client.sync(), ServerRejected);
    const waits = client.append("at once");
    const reader = await apps.open((request) => server.fetch(request));
    await waits;
    await until(async () => {
      await reader.client.sync();
      return reader.received.length === 31;
    });
    assert.deepEqual(reader.received.toSorted(), [...texts, "at once"].toSorted());
    assert.equal(client.tooLarge.length, 1);
  });

  it("is refused when it is created, once the server has said what it takes", async () => {
    const server = new SimulatedServer({ MAX_BODY: "100KiB" });
    const { client } = await apps.open((request) => server.fetch(request));
    await client.sync();
    await assert.rejects(client.append("x".repeat(100_000)), RangeError);
    assert.deepEqual(await createdBy(client), []);
    await client.append("x".repeat(50_000));
    await client.sync();
  });

  it("is not refused by a limit that would leave no room for anything", async () => {
    const server = new SimulatedServer();
    const { client } = await apps.open(async (request) => {
      const response = await server.fetch(request);
      response.headers.set("Max-Body", "1");
      return response;
    });
    await client.sync();
    await client.append("x".repeat(1000));
    await client.sync();
  });

  it("does not begin client ids without end where a server says that everything is too large", async () => {
    const texts = Array.from({ length: 35 }, (_, i) => `operation ${i}`);
    const { store } = await storeOf(apps.identity, texts);
    const { client, changes } = await apps.open(
      intercepted(new SimulatedServer(), ({ payload }) =>
        payload === undefined ? undefined : problem(413, "body-too-large"),
      ),
      { store },
    );
    await assert.rejects(client.sync(), ServerRejected);
    assert.equal(changes.length, 32);
    assert.equal((await createdBy(client)).length, 35);
  });

  it("does not begin client ids without end where each second operation is replaced, nor alters any", async () => {
    const texts = Array.from({ length: 70 }, (_, i) => `operation ${i}`);
    const { store } = await storeOf(apps.identity, texts);
    const stored = new Map<string, string>();
    const fetch: Fetch = async (request) => {
      const body: Body = JSON.parse(await request.text());
      const { client_id: id, operation_index: index = 0, payload } = body;
      const [first = ""] = payload ?? [];
      if (index === 0 && first !== "") stored.set(id, first);
      if (payload === undefined) {
        const shown = [stored.get(id) ?? "", "AQAA"];
        return answer(shown.map((one, i) => lineOf({ client: id, index: i, payload: one })));
      }
      if (index === 0 && payload.length === 1) return answer([]);
      return problem(409, "operation-conflict", { operation_index: 1 });
    };
    const { client, changes } = await apps.open(fetch, { store });
    await assert.rejects(client.sync(), ServerRejected);
    assert.equal(changes.length, 64);
    assert.deepEqual(await createdBy(client), texts);
  });

  it("is not moved to a new client id by a server that first denies what it has acknowledged", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const store = new MemoryStore();
    const honest: Fetch = (request) => server.fetch(request);
    const writer = await apps.open(honest, { store });
    await sendEach(writer.client, ["zero", "one", "two"]);
    await writer.client.close();
    const again = await apps.open(
      intercepted(server, ({ operation_index: first = 0, payload }) => {
        if (payload === undefined) return undefined;
        return first > 0
          ? problem(409, "operation-gap", { next_index: 0 })
          : problem(413, "body-too-large");
      }),
      { store },
    );
    await again.client.append("one more");
    await assert.rejects(again.client.sync(), ServerRejected);
    assert.deepEqual(again.changes, [], "other devices have received them under this id");
    assert.deepEqual(again.client.tooLarge, []);
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

  it("is tried again at once for a sync that was called while it was refused", async () => {
    const server = new SimulatedServer();
    let appends = 0;
    let refuse: () => void = () => undefined;
    const { client } = await apps.open(
      intercepted(server, ({ payload }) => {
        if (payload === undefined || appends++ > 0) return undefined;
        return new Promise((resolve) => {
          refuse = () => resolve(problem(507, "quota-exceeded"));
        });
      }),
    );
    await client.append("one");
    await until(() => appends === 1);
    const synced = client.sync();
    refuse();
    await synced;
    assert.deepEqual(client.status, { state: "synced", pending: 0, refused: 0, live: false });
  });
});
