/** Tabs that share one log while snapshots take the place of it: each has everything once, in order. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import {
  type Cursor,
  type Identity,
  type SnapshotHandler,
  SyncClient,
  textOf,
} from "../../client/index.ts";
import { newIdentity } from "../support/private-keys.ts";
import { SharedPlace, type TabStore } from "../support/shared-place.ts";
import { Device } from "../support/simulated-device.ts";
import {
  JumpingClock,
  nextTick,
  randomFrom,
  SimulatedNetwork,
  SimulatedServer,
  URL_OF_SERVER,
} from "../support/simulated-network.ts";

const HOUR = 3_600_000;
const NEVER = Number.POSITIVE_INFINITY;
const SETTINGS = { LISTING_TTL: "0", RETENTION: "1h", PACKED_RETENTION: "1m" };
const EVERY = 6000;

/**
 * What the app of a tab has, beside the log: nothing, so that it begins anew each time it is opened; its
 * data, while the store remembers what was delivered; or its data with the cursors that belong to it.
 */
type Kept = "nothing" | "data" | "cursors";

/** The data of the app in one slot. */
interface AppData {
  texts: string[];
  readonly cursors: Map<string, Cursor>;
}

interface OpenTab {
  readonly client: SyncClient;
  readonly store: TabStore;
  readonly slot: number;
  readonly data: AppData;
}

/** A browser with tabs, another device, and a server that deletes what snapshots stand for. */
class World {
  readonly identity: Identity;
  readonly random: () => number;
  readonly clock = new JumpingClock();
  readonly server = new SimulatedServer(SETTINGS, this.clock);
  readonly network: SimulatedNetwork;
  readonly place: SharedPlace;
  readonly phone: Device;
  readonly devices: Device[] = [];
  readonly tabs: OpenTab[] = [];
  /** What `append` returned for. */
  readonly appended: string[] = [];
  readonly snapshots = { saved: 0, loaded: 0 };
  readonly refusals: string[] = [];
  /** Called before an app is given a state, and before it is given entries. */
  onLoad: (tab: TabStore) => void | Promise<void> = () => undefined;
  onReceive: (tab: TabStore, texts: readonly string[]) => void | Promise<void> = () => undefined;
  /** Called before a request with a snapshot is sent. */
  onSnapshot: () => void | Promise<void> = () => undefined;
  readonly kept: Kept;
  readonly #slots = new Map<number, AppData>();

  constructor(identity: Identity, kept: Kept, seed = 1) {
    this.identity = identity;
    this.kept = kept;
    this.random = randomFrom(seed);
    this.network = new SimulatedNetwork(this.server, this.random);
    this.network.faulty = 0;
    this.place = new SharedPlace(this.random);
    this.phone = this.device(EVERY);
  }

  /** Another device; one that makes snapshots after so many characters. */
  device(every: number): Device {
    const { identity, clock, random } = this;
    const fetch = async (request: Request) => {
      if ((await request.clone().text()).includes('"snapshot":{')) await this.onSnapshot();
      return this.network.fetch(request);
    };
    const device = new Device({ identity, clock, random, fetch, every });
    this.devices.push(device);
    return device;
  }

  async open(withSnapshots = true): Promise<OpenTab> {
    const slot = [0, 1, 2, 3].find((free) => this.tabs.every((tab) => tab.slot !== free)) ?? 0;
    const known = this.kept === "nothing" ? undefined : this.#slots.get(slot);
    const data: AppData = known ?? { texts: [], cursors: new Map() };
    this.#slots.set(slot, data);
    const store = this.place.open(slot);
    const cursors = this.kept === "nothing" ? [] : [...data.cursors.values()];
    const client = await SyncClient.open({
      url: URL_OF_SERVER,
      identity: this.identity,
      store,
      clock: this.clock,
      fetch: this.network.fetch,
      random: this.random,
      pollInterval: NEVER,
      idleTimeout: NEVER,
      ...(this.kept !== "data" && { cursors }),
      receive: async (entries, cursor) => {
        const texts = entries.map(({ data: bytes }) => textOf(bytes));
        await this.onReceive(store, texts);
        if (store.isGone) return;
        data.texts.push(...texts);
        data.cursors.set(cursor.client, cursor);
      },
      ...(withSnapshots && { snapshot: this.#snapshotOf(data, store) }),
      onRefusal: (refusal) => {
        // A server that was restored withholds for a while.
        if (refusal.kind !== "withheld") this.refusals.push(JSON.stringify(refusal));
      },
    });
    const tab = { client, store, slot, data };
    this.tabs.push(tab);
    return tab;
  }

  /** Saves and loads the texts of an app. */
  #snapshotOf(data: AppData, store: TabStore): SnapshotHandler {
    return {
      every: EVERY,
      save: () => {
        this.snapshots.saved++;
        return JSON.stringify(data.texts);
      },
      load: async (state, all) => {
        await this.onLoad(store);
        if (store.isGone) return;
        this.snapshots.loaded++;
        data.texts = JSON.parse(textOf(state));
        data.cursors.clear();
        for (const cursor of all) data.cursors.set(cursor.client, cursor);
      },
    };
  }

  /** Ends a tab at once. */
  crash(tab: OpenTab): void {
    this.tabs.splice(this.tabs.indexOf(tab), 1);
    tab.store.crash();
    // What it does still has no effect, and never ends.
    void tab.client.close();
  }

  async append(tab: OpenTab, texts: readonly string[]): Promise<void> {
    for (const text of texts) {
      await tab.client.append(text);
      this.appended.push(text);
    }
  }

  appendOnPhone(texts: readonly string[]): Promise<void> {
    return this.appendOn(this.phone, texts);
  }

  /** Appends on another device, which sends each text at once. */
  async appendOn(device: Device, texts: readonly string[]): Promise<void> {
    for (const text of texts) {
      await device.append([text]);
      this.appended.push(text);
      assert.ok(await device.sync());
    }
  }

  /** The server deletes what snapshots stand for that are an hour old. */
  async trim(): Promise<void> {
    for (let times = 0; times < 2; times++) {
      this.clock.pass(HOUR);
      await this.phone.sync();
      await this.server.trim();
    }
  }

  async sync(): Promise<void> {
    for (let round = 0; round < 2; round++) {
      for (const tab of this.tabs) await tab.client.sync();
      while (!(await this.phone.sync())) await this.phone.stop();
    }
  }

  /** Asserts that all have what was appended, each once, and that of the phone in order. */
  check(): void {
    const all = this.appended.toSorted();
    assert.deepEqual(this.phone.texts.toSorted(), all, "what the phone has");
    for (const { slot, data } of this.tabs) {
      // Where the store remembers what was delivered, what came last before a crash comes again.
      const texts = this.kept === "data" ? [...new Set(data.texts)] : data.texts;
      assert.deepEqual(texts.toSorted(), all, `what the tab ${slot} has`);
      assert.deepEqual(ofPhone(texts), ofPhone(this.appended), `in order in the tab ${slot}`);
    }
    assert.deepEqual(this.refusals, []);
    assert.deepEqual(
      this.phone.refusals.filter(({ kind }) => kind !== "withheld"),
      [],
    );
  }

  async close(): Promise<void> {
    this.network.faulty = 0;
    for (const { client } of this.tabs) await client.close();
    for (const device of this.devices) await device.stop();
  }
}

function ofPhone(texts: readonly string[]): string[] {
  return texts.filter((text) => text.startsWith("phone"));
}

/** Texts whose operations have more characters than `EVERY`. */
function many(name: string, count = 30): string[] {
  return Array.from({ length: count }, (_, i) => `${name} ${i} ${"x".repeat(300)}`);
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTick();
}

let made: Promise<Identity> | undefined;

function identity(): Promise<Identity> {
  made ??= newIdentity();
  return made;
}

for (const kept of ["nothing", "data", "cursors"] as const) {
  describe(`tabs whose apps keep ${kept}`, () => {
    let world: World;
    beforeEach(async () => {
      world = new World(await identity(), kept);
    });
    afterEach(() => world.close());

    it("are given the snapshot with which the leading one begins", async () => {
      await world.appendOnPhone(many("phone"));
      await world.trim();
      const [leading, other] = [await world.open(), await world.open()];
      await leading.client.sync();
      await other.client.sync();
      assert.equal(world.snapshots.loaded, 2);
      await world.append(other, ["of the other one"]);
      await world.sync();
      world.check();
    });

    it("are given a snapshot where they lack what the leading one has trimmed", async () => {
      const leading = await world.open();
      await world.append(leading, ["tab 0"]);
      let release: () => void = () => undefined;
      const held = new Promise<void>((resolve) => {
        release = resolve;
      });
      const other = await world.open();
      await world.sync();
      world.onReceive = (tab) => (tab === other.store ? held : undefined);
      for (const text of many("phone", 60)) {
        await world.appendOnPhone([text]);
        await leading.client.sync();
      }
      const { starts } = await world.place.memory.load();
      assert.equal(starts.length, 1, "something is trimmed");
      release();
      await world.sync();
      world.check();
      assert.ok(world.snapshots.loaded > 0);
    });

    it("are given everything where the leading one crashes as it loads a snapshot", async () => {
      await world.appendOnPhone(many("phone"));
      await world.trim();
      const leading = await world.open();
      const other = await world.open();
      const crashed = new Promise<void>((resolve) => {
        world.onLoad = (tab) => {
          if (tab !== leading.store) return;
          world.crash(leading);
          resolve();
        };
      });
      leading.client.sync().catch(() => undefined);
      await crashed;
      await world.appendOnPhone(["phone later"]);
      await other.client.sync();
      const again = await world.open();
      await again.client.sync();
      await world.sync();
      world.check();
    });
  });
}

describe("a tab that cannot take what follows a snapshot, and crashes", () => {
  it("is given the snapshot again, where the store remembers what was delivered", async () => {
    const world = new World(await identity(), "data");
    try {
      const tablet = world.device(NEVER);
      const write = (text: string) => world.appendOn(tablet, [text]);
      await world.open();
      const other = await world.open();
      await world.appendOnPhone(["phone 0"]);
      await world.sync();
      await write("tablet 0");
      await world.sync();
      let isFirst = true;
      world.onSnapshot = async () => {
        if (!isFirst) return;
        isFirst = false;
        // The other tab has more of the tablet than the snapshot stands for, and less of the phone.
        await write("tablet 1");
        for (const { client } of world.tabs) await client.sync();
        world.crash(other);
      };
      for (const text of many("phone", 40)) if (isFirst) await world.appendOnPhone([text]);
      assert.ok(!isFirst, "a snapshot was made");
      await world.sync();
      await world.appendOnPhone(["phone last"]);
      await world.sync();
      let fails = true;
      world.onReceive = (_, texts) => {
        if (texts.includes("tablet 1") && fails) throw new Error("the app fails");
      };
      const failing = await world.open();
      await assert.rejects(failing.client.sync(), /the app fails/);
      world.crash(failing);
      fails = false;
      await world.open();
      await world.sync();
      assert.ok(world.snapshots.loaded > 0);
      world.check();
    } finally {
      await world.close();
    }
  });
});

describe("a tab that has the server send again what another one has put a snapshot in the place of", () => {
  it("does not let that one refuse what the server was asked for before", async () => {
    const world = new World(await identity(), "nothing");
    try {
      const tablet = world.device(NEVER);
      const write = (text: string) => world.appendOn(tablet, [text]);
      const leading = await world.open();
      await write("tablet 0");
      for (const text of many("phone", 40)) {
        await world.appendOnPhone([text]);
        await leading.client.sync();
      }
      const { starts } = await world.place.memory.load();
      assert.equal(starts.length, 2, "of both devices, something is trimmed");
      await write("tablet 1");
      await world.appendOnPhone(["phone later"]);
      let opening: Promise<unknown> | undefined;
      world.onReceive = async (tab) => {
        if (tab !== leading.store) return;
        // Its app takes no snapshots: it needs all operations, of both devices.
        opening ??= world.open(false).then((other) => world.crash(other));
        await opening;
      };
      await leading.client.sync();
      assert.ok(opening !== undefined);
      await world.sync();
      world.check();
    } finally {
      await world.close();
    }
  });
});

describe("tabs that make and take snapshots, in a simulation", () => {
  for (let seed = 1; seed <= 50; seed++) {
    it(`have each entry once, and lose none, with the seed ${seed}`, async () => {
      const kept = (["nothing", "data", "cursors"] as const)[Math.floor(seed / 3) % 3] ?? "data";
      const world = new World(await identity(), kept, seed);
      world.network.faulty = 0.2;
      let next = 0;
      const texts = (name: string) =>
        Array.from({ length: 1 + Math.floor(world.random() * 4) }, () => {
          return `${name} ${next++} ${"x".repeat(Math.floor(world.random() * 600))}`;
        });
      try {
        await world.open();
        await world.open();
        for (let step = 0; step < 50; step++) {
          const choice = world.random();
          const tab = world.tabs[Math.floor(world.random() * world.tabs.length)];
          if (tab === undefined || (choice < 0.1 && world.tabs.length < 4)) await world.open();
          else if (choice < 0.18) world.crash(tab);
          else if (choice < 0.36) await Promise.race([tab.client.sync(), turns(30)]);
          else if (choice < 0.6) await world.appendOnPhone(texts("phone"));
          else if (choice < 0.66) await world.trim();
          else if (choice < 0.72) await turns(20);
          else await world.append(tab, texts("tab"));
        }
        world.network.faulty = 0;
        world.clock.pass(HOUR);
        if (world.tabs.length === 0) await world.open();
        await world.sync();
        await world.sync();
        world.check();
      } finally {
        await world.close();
      }
    });
  }
});
