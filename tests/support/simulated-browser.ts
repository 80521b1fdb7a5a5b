/** Tabs that share one log, whose apps make and take snapshots of it. */
import assert from "node:assert/strict";
import {
  type Cursor,
  type Identity,
  type SnapshotHandler,
  SyncClient,
  textOf,
} from "../../client/index.ts";
import { SharedPlace, type TabStore } from "./shared-place.ts";
import { Device } from "./simulated-device.ts";
import {
  JumpingClock,
  randomFrom,
  SimulatedNetwork,
  SimulatedServer,
  URL_OF_SERVER,
} from "./simulated-network.ts";

export const HOUR = 3_600_000;
export const NEVER = Number.POSITIVE_INFINITY;
const SETTINGS = { LISTING_TTL: "0", RETENTION: "1h", PACKED_RETENTION: "1m" };
/** Tabs and the phone make a snapshot after so many characters of operations. */
export const EVERY = 6000;

/**
 * What the app of a tab has, beside the log: nothing, so that it begins anew each time it is opened; its
 * data, while the store remembers what was delivered; or its data with the cursors that belong to it.
 */
export type Kept = "nothing" | "data" | "cursors";

/** The data of the app in one slot. */
interface AppData {
  texts: string[];
  readonly cursors: Map<string, Cursor>;
}

export interface OpenTab {
  readonly client: SyncClient;
  readonly store: TabStore;
  readonly slot: number;
  readonly data: AppData;
}

/** A browser with tabs that share one log, another device, and a server that deletes what snapshots stand for. */
export class Browser {
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
        return JSON.stringify(this.#onceEach(data.texts));
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

  /** Where the store remembers what was delivered, what came last before a crash comes again. */
  #onceEach(texts: readonly string[]): readonly string[] {
    return this.kept === "data" ? [...new Set(texts)] : texts;
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
      const texts = this.#onceEach(data.texts);
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
    await this.server.stop();
  }
}

function ofPhone(texts: readonly string[]): string[] {
  return texts.filter((text) => text.startsWith("phone"));
}
