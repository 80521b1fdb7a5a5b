/** What a client delivers from its store where the app's positions are others than its own. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Cursor } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import type { Line } from "../../protocol/types.ts";
import { AppData, offline, serverWith, syncOnce, textsOn } from "../support/app-data.ts";
import { SimulatedServer } from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";
import { type Fetch, sendEach, useApps } from "../support/sync-app.ts";

const apps = useApps();

/** The lines but those that the server has to show once more: the last of each client id. */
function unlessLast(lines: readonly Line[], cursors: readonly Cursor[]): Line[] {
  const isLast = ({ client, index }: Line) =>
    cursors.some((one) => one.client === client && one.index === index);
  return lines.filter((line) => !isLast(line));
}

/** Texts of which each is more than a client delivers from its store at once. */
const long = (texts: readonly string[]) => texts.map((text) => text.padEnd(800_000, "."));
/** The beginnings of such texts. */
const short = (texts: readonly string[]) => texts.map((text) => text.replace(/\.+$/, ""));

describe("what a device has received before", () => {
  it("is delivered from the app's positions on, of each client id, without the server", async () => {
    const { fetch, ids } = await serverWith(apps, ["a0", "a1", "a2"], ["b0", "b1"], ["c0"]);
    const [store, data] = [new MemoryStore(), new AppData()];
    await syncOnce(apps, fetch, store, data);
    assert.deepEqual(data.texts.toSorted(), ["a0", "a1", "a2", "b0", "b1", "c0"]);
    const all = [...data.cursors.values()];
    const cases: readonly [readonly Cursor[], readonly string[]][] = [
      [all, []],
      [[], ["a0", "a1", "a2", "b0", "b1", "c0"]],
      [all.filter(({ client }) => client !== ids[1]), ["b0", "b1"]],
    ];
    for (const [cursors, expected] of cases) {
      const app = await apps.open(offline, { store, cursors });
      await until(() => app.client.status.state === "offline");
      assert.deepEqual(app.received.toSorted(), expected);
      await app.client.close();
      const online = await apps.open(fetch, {
        store,
        cursors,
        onLines: (lines) => assert.deepEqual(unlessLast(lines, all), [], "it is downloaded again"),
      });
      await online.client.sync();
      assert.deepEqual(online.received.toSorted(), expected);
      await online.client.close();
    }
  });

  it("is delivered from a position in the middle, and then what is new", async () => {
    const { fetch } = await serverWith(apps, ["zero"]);
    const [store, data] = [new MemoryStore(), new AppData()];
    await syncOnce(apps, fetch, store, data);
    const early = new Map(data.cursors);
    const writer = await apps.open(fetch);
    await writer.client.append("of another");
    await writer.client.sync();
    await syncOnce(apps, fetch, store, data);
    const again = new AppData();
    for (const [client, cursor] of early) again.cursors.set(client, cursor);
    await writer.client.append("new");
    await writer.client.sync();
    const before = [...data.cursors.values()];
    const lines = unlessLast(await syncOnce(apps, fetch, store, again), before);
    assert.deepEqual(again.texts, ["of another", "new"]);
    assert.deepEqual(
      lines.map(({ client, index }) => [client, index]),
      [[writer.client.client, 1]],
    );
  });

  it("is delivered again from where the app failed on, at once and after a restart", async () => {
    const texts = ["zero", "one", "two", "three"];
    const { fetch } = await serverWith(apps, long(texts));
    const store = new MemoryStore();
    await syncOnce(apps, fetch, store, new AppData());
    const data = new AppData();
    const failAt = (index: number) => {
      let failures = 2;
      data.check = ([entry]) => {
        if (entry?.index === index && failures-- > 0) throw new Error("the app is full");
      };
    };
    failAt(1);
    const app = await apps.open(offline, { store, receive: data.receive, cursors: [] });
    await until(() => data.texts.length === 4);
    assert.deepEqual(short(data.texts), texts);
    await app.client.close();

    data.texts.length = 0;
    data.cursors.clear();
    let failures = 0;
    data.check = ([entry]) => {
      if (entry?.index !== 2) return;
      failures++;
      throw new Error("the app is full");
    };
    const failing = await apps.open(fetch, { store, receive: data.receive, cursors: [] });
    await until(() => failures > 1 && failing.client.status.state === "refused");
    assert.deepEqual(failing.client.status, {
      state: "refused",
      pending: 0,
      code: "device",
      why: "the app is full",
      final: false,
      refused: 0,
      live: false,
    });
    await failing.client.close();
    failAt(2);
    const again = await apps.open(offline, { store, ...data.options });
    await until(() => data.texts.length === 4);
    assert.deepEqual(short(data.texts), texts);
    await again.client.close();
  });

  it("keeps nothing from being sent where the app does not take it, nor anything else from coming", async () => {
    const { fetch, ids } = await serverWith(apps, ["old"], ["old of another"]);
    const store = new MemoryStore();
    await syncOnce(apps, fetch, store, new AppData());
    const data = new AppData();
    data.check = (_, { client }) => {
      if (client === ids[0]) throw new Error("the app is full");
    };
    const app = await apps.open(fetch, { store, receive: data.receive, cursors: [] });
    await app.client.append("mine");
    await until(() => app.client.status.pending === 0);
    const reader = await apps.open(fetch);
    await reader.client.append("new");
    await reader.client.sync();
    assert.ok(reader.received.includes("mine"));
    app.client.sync().catch(() => undefined);
    await until(() => data.texts.includes("new"));
    assert.equal(app.client.status.state, "refused");
    data.check = () => undefined;
    await app.client.sync();
    assert.deepEqual(data.texts.toSorted(), ["mine", "new", "old", "old of another"]);
  });
});

describe("an app that has more than the store of its client", () => {
  /** Opens an app that takes a delivery, and crashes before that is stored. */
  async function crash(fetch: Fetch, store: MemoryStore, data: AppData): Promise<void> {
    const gone = () => Promise.reject(new Error("the power is gone"));
    const receive = store.receive.bind(store);
    store.receive = gone;
    const { length } = data.texts;
    const app = await apps.open(fetch, {
      store,
      cursors: [...data.cursors.values()],
      receive: (...of) => (data.texts.length === length ? data.receive(...of) : gone()),
    });
    await until(() => data.texts.length > length && app.client.status.state === "refused");
    await app.client.close();
    store.receive = receive;
  }

  it("gets nothing of it again after a crash, and the store has no hole", async () => {
    const server = new SimulatedServer({ LISTING_TTL: "0" });
    const fetch: Fetch = (request) => server.fetch(request);
    const writer = await apps.open(fetch);
    const [store, data] = [new MemoryStore(), new AppData()];
    const texts: string[] = [];
    // At first the store has nothing of the other client, then a part.
    for (const [lost, next] of [
      ["zero", "one"],
      ["two", "three"],
    ] as const) {
      await sendEach(writer.client, [lost]);
      await crash(fetch, store, data);
      texts.push(lost);
      assert.deepEqual(data.texts, texts);
      await syncOnce(apps, fetch, store, data);
      assert.deepEqual(data.texts, texts);
      await sendEach(writer.client, [next]);
      await crash(fetch, store, data);
      await sendEach(writer.client, [`${next} and more`]);
      await syncOnce(apps, fetch, store, data);
      texts.push(next, `${next} and more`);
      assert.deepEqual(data.texts, texts);
    }
    const again = await apps.open(offline, { store, cursors: [] });
    await until(() => again.received.length === texts.length);
    assert.deepEqual(again.received, texts);
    assert.deepEqual(await textsOn(again), texts);
  });

  it("goes on from its positions with a new store, which begins there", async () => {
    const { fetch, ids } = await serverWith(apps, ["zero", "one"]);
    const data = new AppData();
    await syncOnce(apps, fetch, new MemoryStore(), data);
    const store = new MemoryStore();
    const lines = await syncOnce(apps, fetch, store, data);
    assert.deepEqual(unlessLast(lines, [...data.cursors.values()]), []);
    const writer = await apps.open(fetch);
    await writer.client.append("new");
    await writer.client.sync();
    await syncOnce(apps, fetch, store, data);
    assert.deepEqual(data.texts, ["zero", "one", "new"]);
    const again = await apps.open(offline, { store, ...data.options });
    assert.deepEqual(await textsOn(again), ["new"]);
    assert.equal((await store.load()).starts[0]?.client, ids[0]);
    await again.client.close();
    // What the store does not have comes from the server.
    const anew = await apps.open(fetch, { store, cursors: [] });
    await anew.client.sync();
    assert.deepEqual(anew.received.toSorted(), ["new", "one", "zero"]);
    assert.deepEqual((await textsOn(anew)).toSorted(), ["new", "one", "zero"]);
  });
});
