/** Entries that were appended here, and come to the app by the same way as those of others. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ClientChange, Cursor, Receive } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { utf8 } from "../../protocol/bytes.ts";
import { AppData, offline } from "../support/app-data.ts";
import { storeOf } from "../support/sealed.ts";
import { nextTick, SimulatedServer } from "../support/simulated-network.ts";
import { until } from "../support/socket.ts";
import { type Fetch, sendEach, textsOf, useApps } from "../support/sync-app.ts";

const apps = useApps();

function honestServer(): Fetch {
  const server = new SimulatedServer({ LISTING_TTL: "0" });
  return (request) => server.fetch(request);
}

describe("entries that were appended here", () => {
  it("are delivered while the server cannot be reached, under the names that append returned", async () => {
    const delivered: unknown[] = [];
    const app = await apps.open(offline, {
      receive: (entries, _, isOwn) => {
        assert.ok(isOwn);
        delivered.push(...entries.map(({ data: __, ...name }) => name));
      },
    });
    const created = [await app.client.append("a"), ...(await app.client.appendAll(["b", "c"]))];
    for (const text of ["d", "e"]) created.push(await app.client.append(text));
    await until(() => delivered.length === 5);
    assert.deepEqual(delivered, created);
  });

  it("are sent as they were appended, whatever the app does with what it gets", async () => {
    const fetch = honestServer();
    let open = (): void => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    let altered = 0;
    const app = await apps.open(
      async (request) => {
        await opened;
        return fetch(request);
      },
      {
        receive: (entries) => {
          for (const { data } of entries) data.fill(0);
          altered += entries.length;
        },
      },
    );
    // The first one is on its way while the others wait.
    for (const text of ["a", "b", "c"]) await app.client.append(text);
    await app.client.appendAll(["d", "e"]);
    await until(() => altered === 5);
    open();
    await app.client.sync();
    const other = await apps.open(fetch);
    await other.client.sync();
    assert.deepEqual(other.received, ["a", "b", "c", "d", "e"]);
  });

  it("are not delivered once more when they are sent, nor after a restart", async () => {
    const fetch = honestServer();
    const store = new MemoryStore();
    const data = new AppData();
    const app = await apps.open(offline, { store, receive: data.receive });
    for (const text of ["a", "b", "c"]) await app.client.append(text);
    await until(() => data.texts.length === 3);
    await app.client.close();
    for (const _ of ["sends them", "has sent them"]) {
      const again = await apps.open(fetch, { store, receive: data.receive });
      await again.client.sync();
      await again.client.close();
    }
    assert.deepEqual(data.texts, ["a", "b", "c"]);
  });

  it("are delivered from the app's position on, wherever among those that wait it is", async () => {
    const texts = ["a", "b", "c", "d", "e"];
    const store = new MemoryStore();
    const all: Cursor[] = [];
    const first = await apps.open(offline, {
      store,
      receive: async (entries, cursor) => {
        // One call for each entry.
        assert.equal(entries.length, 1);
        all.push(cursor);
      },
    });
    for (const [i, text] of texts.entries()) {
      await first.client.append(text);
      await until(() => all.length === i + 1);
    }
    await first.client.close();
    for (const fetch of [offline, honestServer()]) {
      for (const [i, cursor] of all.entries()) {
        const data = new AppData();
        data.cursors.set(cursor.client, cursor);
        const app = await apps.open(fetch, { store, ...data.options });
        const rest = texts.slice(i + 1);
        await until(() => data.texts.length === rest.length);
        if (fetch !== offline) await app.client.sync();
        await app.client.close();
        assert.deepEqual(data.texts, rest);
      }
    }
  });

  it("are what was appended, whatever the app does with its bytes afterwards", async () => {
    const fetch = honestServer();
    let isOffline = true;
    const data = new AppData();
    const app = await apps.open((request) => (isOffline ? offline : fetch)(request), {
      receive: data.receive,
    });
    const bytes = utf8("a");
    for (const byte of [97, 98, 99]) {
      bytes[0] = byte;
      await app.client.append(bytes);
    }
    bytes[0] = 120;
    isOffline = false;
    await app.client.sync();
    const reader = await apps.open(fetch);
    await reader.client.sync();
    assert.deepEqual(reader.received, ["a", "b", "c"]);
    assert.deepEqual(data.texts, ["a", "b", "c"]);
  });

  it("are delivered again after a crash that came before the store has recorded them", async () => {
    const store = new MemoryStore();
    const data = new AppData();
    const app = await apps.open(offline, { store, receive: data.receive });
    // What a crash keeps from the disk.
    store.acknowledge = async () => undefined;
    await app.client.append("a");
    await until(() => data.texts.length === 1);
    await app.client.close();
    store.acknowledge = MemoryStore.prototype.acknowledge;
    const again = await apps.open(offline, { store, receive: data.receive });
    await until(() => data.texts.length === 2);
    assert.deepEqual(data.texts, ["a", "a"]);
    await again.client.close();
  });

  it("are delivered again after the app has failed, in order, and the status says so", async () => {
    const data = new AppData();
    const app = await apps.open(honestServer(), { receive: data.receive });
    await app.client.sync();
    data.check = () => {
      throw new Error("the app is full");
    };
    await app.client.append("a");
    await until(() => app.client.status.state === "refused");
    const { code, why } = { code: undefined, why: undefined, ...app.client.status };
    assert.deepEqual([code, why], ["device", "the app is full"]);
    await app.client.append("b");
    data.check = () => undefined;
    await app.client.sync();
    assert.deepEqual(data.texts, ["a", "b"]);
    assert.equal(app.client.status.pending, 0);
  });

  it("come before what another device answers to them", async () => {
    const fetch = honestServer();
    const order: string[] = [];
    let fails = true;
    const receive: Receive = (entries, _, isOwn) => {
      if (fails && isOwn) throw new Error("not yet");
      order.push(...textsOf(entries));
    };
    const asking = await apps.open(fetch, { receive });
    await asking.client.append("question");
    await until(() => asking.client.status.pending === 0);
    const other = await apps.open(fetch);
    await other.client.sync();
    await sendEach(other.client, ["answer"]);
    await assert.rejects(asking.client.sync(), /not yet/);
    assert.deepEqual(order, []);
    fails = false;
    await asking.client.sync();
    assert.deepEqual(order, ["question", "answer"]);
  });

  it("can be appended where others are received, and do not overtake each other", async () => {
    const fetch = honestServer();
    const order: string[] = [];
    const app = await apps.open(fetch, {
      receive: async (entries, _, isOwn) => {
        for (const text of textsOf(entries)) {
          order.push(text);
          if (!isOwn) await app.client.append(`re: ${text}`);
          await nextTick();
        }
      },
    });
    const other = await apps.open(fetch);
    await sendEach(other.client, ["a", "b", "c"]);
    await app.client.sync();
    await until(() => order.length === 6);
    assert.deepEqual(order, ["a", "b", "c", "re: a", "re: b", "re: c"]);
  });

  it("do not hold up those of others where they cannot be read", async () => {
    const fetch = honestServer();
    const other = await apps.open(fetch);
    await sendEach(other.client, ["of the other"]);
    const { store } = await storeOf(apps.identity, ["mine"], 1);
    const read = store.read.bind(store);
    const data = new AppData();
    store.read = async (...of) =>
      (await read(...of)).map((payload) => `${payload.slice(0, -4)}AAAA`);
    const app = await apps.open(fetch, { store, receive: data.receive, cursors: [] });
    await until(() => data.texts.length > 0);
    assert.deepEqual(data.texts, ["of the other"]);
    await until(() => app.client.status.state === "refused");
  });

  it("have their new names reported at the next start where a crash came before", async () => {
    const fetch = honestServer();
    const { store, id } = await storeOf(apps.identity, ["both have it"]);
    const original = await apps.open(fetch, { store });
    await original.client.sync();
    const copy = new MemoryStore();
    await copy.begin(id);
    await copy.append(id, 0, await store.read(id, 0, 1, Infinity));
    await copy.acknowledge(id, 1);
    await sendEach(original.client, ["of the original"]);
    const data = new AppData();
    const changes: ClientChange[] = [];
    const crashed = await apps.open(fetch, {
      store: copy,
      receive: data.receive,
      onClientChange: () => {
        throw new Error("the power is gone");
      },
    });
    await crashed.client.append("of the copy");
    await until(() => crashed.client.status.state === "refused");
    await crashed.client.close();
    assert.deepEqual(data.texts, ["both have it", "of the copy"]);
    for (const _ of ["hears of it", "has heard of it"]) {
      const again = await apps.open(fetch, {
        store: copy,
        ...data.options,
        onClientChange: (change) => {
          changes.push(change);
          if (change.cursor !== undefined) data.cursors.set(change.to, change.cursor);
        },
      });
      await again.client.sync();
      await again.client.close();
    }
    const [change, ...others] = changes;
    assert.deepEqual(others, []);
    assert.deepEqual([change?.from, change?.first, change?.cursor?.index], [id, 1, 0]);
    assert.deepEqual(data.texts, ["both have it", "of the copy", "of the original"]);
  });
});
