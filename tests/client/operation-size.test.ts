/** How many entries an operation carries. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Created } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { offline } from "../support/app-data.ts";
import { places, placesOn } from "../support/places.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";
import { StoppedClock } from "../support/stopped-clock.ts";
import {
  type App,
  createdBy,
  entriesOn,
  type Fetch,
  problem,
  useApps,
} from "../support/sync-app.ts";

const apps = useApps();

function serverOf(settings: Readonly<Record<string, string>> = {}): Fetch {
  const server = new SimulatedServer({ LISTING_TTL: "0", ...settings });
  return (request) => server.fetch(request);
}

describe("an operation", () => {
  /** How many bytes of entries each operation on a device has. */
  async function sizesOn({ client }: App): Promise<number[]> {
    const sizes: number[] = [];
    for (const { index, data } of await entriesOn(client)) {
      const length = data.length < 128 ? 1 : data.length < 16_384 ? 2 : 3;
      sizes[index] = (sizes[index] ?? 0) + length + data.length;
    }
    return sizes;
  }

  const texts = Array.from({ length: 1000 }, (_, i) => `${i} `.padEnd(900, "."));

  it("carries at most 24 KiB of entries as long as the server has not said what it takes, then 256 KiB", async () => {
    const fetch = serverOf();
    const app = await apps.open(fetch, { clock: new StoppedClock() });
    await app.client.appendAll(texts);
    const early = await sizesOn(app);
    assert.ok(Math.max(...early) <= 24 * 1024, early.join());
    assert.ok(
      early.slice(0, -1).every((size) => size + 902 > 24 * 1024),
      "each is full",
    );
    await app.client.sync();
    await app.client.appendAll(texts);
    const late = (await sizesOn(app)).slice(early.length);
    assert.ok(Math.max(...late) <= 256 * 1024, late.join());
    assert.equal(late.length, 4);
    await app.client.sync();
    const reader = await apps.open(fetch);
    await reader.client.sync();
    assert.deepEqual(reader.received, [...texts, ...texts]);
  });

  it("carries no more than the server takes, with all that an entry needs", async () => {
    for (const size of ["64KiB", "200KiB"]) {
      const fetch = serverOf({ MAX_BODY: size });
      const app = await apps.open(fetch);
      await app.client.sync();
      await app.client.appendAll(texts);
      await app.client.sync();
      const reader = await apps.open(fetch);
      await reader.client.sync();
      assert.deepEqual(reader.received, texts);
    }
  });

  it("is created at once where what waits is more than one can carry, or an entry is large", async () => {
    const fetch = serverOf();
    const store = new MemoryStore();
    const app = await apps.open(offline, { store, clock: new StoppedClock() });
    await until(() => app.client.status.state === "offline");
    const [small, large] = ["x".repeat(10_000), "y".repeat(20_000)];
    const created: Created[] = [];
    for (const text of ["first", small, small, small, "z", large, large, "last"]) {
      created.push(await app.client.append(text));
    }
    assert.deepEqual(
      created,
      places(app, [0, 0], [1, 0], [1, 1], [2, 0], [3, 0], [3, 1], [4, 0], [5, 0]),
    );
    const { own, drafts } = await store.load();
    assert.deepEqual([own[0]?.length, drafts.length], [5, 1]);
    await app.client.close();
    const again = await apps.open(fetch, { store });
    await again.client.sync();
    assert.deepEqual(
      (await placesOn(apps, fetch)).map(([place]) => place),
      created,
    );
  });

  it("that is larger than the server takes by now stays on the device, and what follows is smaller", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    let limit = 16 * 1024 * 1024;
    let isAway = false;
    const clock = new StoppedClock();
    const app = await apps.open(
      async (request) => {
        if (isAway) throw new TypeError("offline");
        const size = (await request.clone().text()).length;
        const answer = size > limit ? problem(413, "body-too-large") : await server.fetch(request);
        answer.headers.set("Max-Body", String(limit));
        return answer;
      },
      { clock },
    );
    await app.client.append("before");
    await app.client.sync();
    isAway = true;
    const kept = await app.client.appendAll(texts.slice(0, 200));
    isAway = false;
    limit = 64 * 1024;
    await assert.rejects(app.client.sync(), { code: "body-too-large" });
    await app.client.appendAll(texts.slice(200, 400));
    await assert.rejects(app.client.sync(), { code: "body-too-large" });
    assert.deepEqual(app.client.tooLarge, [{ client: kept[0]?.client, index: 1 }]);
    assert.equal(app.client.status.pending, 200);
    const reader = await apps.open((request) => server.fetch(request));
    await reader.client.sync();
    assert.deepEqual(reader.received.toSorted(), ["before", ...texts.slice(200, 400)].toSorted());
    assert.deepEqual(
      (await createdBy(app.client)).toSorted(),
      ["before", ...texts.slice(0, 400)].toSorted(),
    );
    limit = 16 * 1024 * 1024;
    clock.pass(3600_000);
    await app.client.sync();
    await reader.client.sync();
    assert.deepEqual(reader.received.slice(201), texts.slice(0, 200));
  });
});
