/** When a snapshot is made, what it stands for, and what a device reads that keeps one. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { type Store, SyncClient, textOf } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { newIdentity } from "../support/private-keys.ts";
import { nextTick, URL_OF_SERVER } from "../support/simulated-network.ts";
import { assertHave, many, SnapshotStage, write } from "../support/snapshot-stage.ts";
import { problem } from "../support/sync-app.ts";

/** Calls a task, once, before it reads operations of others. */
class HookedStore extends MemoryStore {
  before: (() => Promise<unknown>) | undefined;

  override async readReceived(...of: Parameters<Store["readReceived"]>) {
    const task = this.before;
    this.before = undefined;
    await task?.();
    return super.readReceived(...of);
  }
}

describe("a snapshot", () => {
  let stage: SnapshotStage;
  beforeEach(async () => {
    stage = new SnapshotStage(await newIdentity(), {});
  });
  afterEach(async () => {
    for (const device of stage.devices) await device.stop();
  });

  it("is not made while the app has more than the device, which could not say so", async () => {
    const [laptop, phone] = [stage.device(Infinity), stage.device()];
    const ofLaptop = ["one", "two", "three"];
    await write(laptop, ofLaptop);
    assert.ok(await phone.sync());
    await phone.loseReceived();
    const hidden = laptop.created.get("one")?.client;
    stage.alter = (lines) => {
      const shown = lines.filter(({ client_id }) => client_id !== hidden);
      lines.splice(0, lines.length, ...shown);
    };
    const texts = many("of the phone", 15);
    await write(phone, texts);
    assert.equal(phone.snapshots.saved, 0);
    stage.alter = () => undefined;
    assert.ok(await phone.sync());
    assert.equal(phone.snapshots.saved, 1);
    const tablet = stage.device();
    assert.ok(await tablet.sync());
    assert.equal(tablet.snapshots.loaded, 1);
    assertHave([tablet], [...ofLaptop, ...texts]);
  });

  it("is not made where something was appended meanwhile, before that is sent", async () => {
    const laptop = stage.device(Infinity);
    await write(laptop, many("of the laptop"));
    const store = new HookedStore();
    const { identity, clock } = stage;
    const events: string[] = [];
    const client = await SyncClient.open({
      url: URL_OF_SERVER,
      identity,
      store,
      clock,
      fetch: async (request) => {
        const { payload, snapshot } = JSON.parse(await request.clone().text());
        if (payload !== undefined) events.push(snapshot === undefined ? "sent" : "snapshot sent");
        return stage.fetch(request);
      },
      random: () => 0,
      pollInterval: Infinity,
      idleTimeout: Infinity,
      receive: () => undefined,
      snapshot: {
        every: 8000,
        save: () => {
          events.push("saved");
          return "a state";
        },
        load: () => undefined,
      },
    });
    try {
      store.before = () => client.append("meanwhile");
      await client.sync();
      assert.deepEqual(events, ["sent", "saved", "snapshot sent"]);
    } finally {
      await client.close();
    }
  });

  it("is not made because other devices have made theirs at the same time", async () => {
    const laptop = stage.device(Infinity);
    const others = [stage.device(), stage.device(), stage.device(), stage.device()];
    const made = new Set();
    // The server is too busy to store one until each device has made its own.
    stage.refuse = ({ client_id, snapshot }) => {
      if (snapshot !== undefined) made.add(client_id);
      const isBusy = snapshot !== undefined && made.size < others.length;
      return isBusy ? problem(503, "storage-unavailable") : undefined;
    };
    await write(laptop, many("of the laptop"));
    await Promise.all(others.map((one) => one.sync()));
    for (let round = 0; round < 3; round++) for (const one of others) assert.ok(await one.sync());
    assert.deepEqual(
      others.map(({ snapshots }) => snapshots.saved),
      [1, 1, 1, 1],
    );
    assertHave(others, laptop.appended);
  });

  it("leaves out of what a device reads what it stands for, also where the device has more behind it", async () => {
    const [laptop, tablet, phone] = [
      stage.device(),
      stage.device(Infinity),
      stage.device(Infinity),
    ];
    await write(tablet, ["first", "second"]);
    assert.ok(await phone.sync());
    // So many that no answer begins with it.
    await write(laptop, many("of the laptop"));
    assert.equal(laptop.snapshots.saved, 1);
    // The phone has the third before it has the snapshot, which stands for the first two.
    const hidden = [...laptop.created.values()][0]?.client;
    await write(tablet, ["third"]);
    stage.alter = (lines) => {
      const shown = lines.filter(({ client_id }) => client_id !== hidden);
      lines.splice(0, lines.length, ...shown);
    };
    assert.ok(await phone.sync());
    assert.deepEqual(await phone.held(), ["first", "second", "third"]);
    stage.alter = () => undefined;
    assert.ok(await phone.sync());
    const { snapshot } = await phone.kept();
    assert.equal(snapshot, true);
    assert.equal(phone.snapshots.loaded, 0);
    const held = await phone.held();
    assert.ok(held.includes("third") && !held.includes("first") && !held.includes("second"));
    assertHave([phone], [...tablet.appended, ...laptop.appended]);
  });

  it("that takes long to load is followed by what is appended meanwhile", async () => {
    const laptop = stage.device();
    await write(laptop, many("of the laptop", 15));
    let release: () => void = assert.fail;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let isLoading = false;
    const events: string[] = [];
    const { identity, clock, fetch } = stage;
    const client = await SyncClient.open({
      url: URL_OF_SERVER,
      identity,
      store: new MemoryStore(),
      clock,
      fetch,
      pollInterval: Infinity,
      idleTimeout: Infinity,
      receive: (entries) => {
        events.push(...entries.map(({ data }) => textOf(data)));
      },
      snapshot: {
        every: Infinity,
        save: () => undefined,
        load: async () => {
          isLoading = true;
          await held;
          events.push("loaded");
        },
      },
    });
    try {
      const synced = client.sync();
      while (!isLoading) await nextTick();
      await client.append("meanwhile");
      assert.deepEqual(events, []);
      release();
      await synced;
      assert.deepEqual(events.slice(0, 2), ["loaded", "meanwhile"]);
      assert.equal(new Set(events).size, events.length);
    } finally {
      await client.close();
    }
  });

  it("that an app cannot load keeps nothing from being sent", async () => {
    const [laptop, phone] = [stage.device(), stage.device(Infinity)];
    const texts = many("of the laptop", 15);
    await write(laptop, texts);
    phone.failures = Infinity;
    await phone.append(["of the phone"]);
    await assert.rejects(phone.sync(), /cannot load/);
    await phone.append(["later"]);
    await assert.rejects(phone.sync(), /cannot load/);
    assert.ok(await laptop.sync());
    assertHave([laptop], [...texts, "of the phone", "later"]);
    phone.failures = 0;
    assert.ok(await phone.sync());
    assertHave([phone], [...texts, "of the phone", "later"]);
  });
});
