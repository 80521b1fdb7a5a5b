/** Tabs that share one log: each entry once in each of them, whichever of them crashes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Entry, type Identity, SyncClient, textOf } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { newIdentity } from "../support/private-keys.ts";
import { sharedSeeds } from "../support/share.ts";
import { SharedPlace, type TabStore } from "../support/shared-place.ts";
import {
  JumpingClock,
  nextTick,
  randomFrom,
  SimulatedNetwork,
  SimulatedServer,
  URL_OF_SERVER,
} from "../support/simulated-network.ts";

const NEVER = Number.POSITIVE_INFINITY;

interface OpenTab {
  readonly client: SyncClient;
  readonly store: TabStore;
  readonly slot: number;
  /** What was delivered in it. */
  readonly received: string[];
}

class World {
  readonly identity: Identity;
  readonly random: () => number;
  readonly server = new SimulatedServer();
  readonly clock = new JumpingClock();
  readonly network: SimulatedNetwork;
  readonly place: SharedPlace;
  readonly tabs: OpenTab[] = [];
  /** What `append` returned for. */
  readonly appended: string[] = [];
  /** What was delivered in each slot, over all tabs that had it. */
  readonly #slots = new Map<number, string[]>();
  /** Whether tabs have everything delivered anew, instead of what their slot has not had. */
  readonly anew: boolean;
  #next = 0;

  constructor(identity: Identity, seed: number) {
    this.identity = identity;
    this.anew = seed % 2 === 0;
    this.random = randomFrom(seed);
    this.network = new SimulatedNetwork(this.server, this.random);
    this.place = new SharedPlace(this.random);
  }

  options(receive: (entries: readonly Entry[]) => void) {
    return {
      url: URL_OF_SERVER,
      identity: this.identity,
      receive,
      clock: this.clock,
      sign: false,
      pollInterval: NEVER,
      idleTimeout: NEVER,
      fetch: this.network.fetch,
      random: this.random,
    };
  }

  async open(): Promise<OpenTab> {
    const free = [0, 1, 2, 3].filter((slot) => this.tabs.every((tab) => tab.slot !== slot));
    const slot = free[0] ?? 0;
    const store = this.place.open(slot);
    const received = (!this.anew && this.#slots.get(slot)) || [];
    this.#slots.set(slot, received);
    const client = await SyncClient.open({
      ...this.options((entries) => {
        if (!store.isGone) received.push(...entries.map(({ data }) => textOf(data)));
      }),
      store,
      ...(this.anew && { cursors: [] }),
    });
    const tab = { client, store, slot, received };
    this.tabs.push(tab);
    return tab;
  }

  async append(tab: OpenTab): Promise<void> {
    const count = 1 + Math.floor(this.random() * 3);
    const texts = Array.from({ length: count }, () => `entry ${this.#next++}`);
    const appending = tab.client.appendAll(texts).then(() => this.appended.push(...texts));
    appending.catch(() => undefined);
    if (this.random() < 0.5) await Promise.race([appending, waitFor(30)]);
  }

  end(tab: OpenTab): void {
    this.tabs.splice(this.tabs.indexOf(tab), 1);
    tab.store.crash();
    // What it does still has no effect, and never ends.
    void tab.client.close();
  }

  pick(): OpenTab | undefined {
    return this.tabs[Math.floor(this.random() * this.tabs.length)];
  }
}

async function waitFor(turns: number): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await nextTick();
}

describe("tabs that share a log, in a simulation", () => {
  for (const seed of sharedSeeds(25)) {
    it(`have each entry once, and lose none that was appended, with the seed ${seed}`, async () => {
      const world = new World(await identity(), seed);
      const phone: string[] = [];
      const other = await SyncClient.open({
        ...world.options((entries) => phone.push(...entries.map(({ data }) => textOf(data)))),
        store: new MemoryStore(),
      });
      await world.open();
      await world.open();
      for (let step = 0; step < 40; step++) {
        const choice = world.random();
        const tab = world.pick();
        if (tab === undefined || (choice < 0.1 && world.tabs.length < 4)) await world.open();
        else if (choice < 0.18 && world.tabs.length > 1) world.end(tab);
        else if (choice < 0.28) await Promise.race([tab.client.sync(), waitFor(20)]);
        else if (choice < 0.4) {
          await other.append(`from the phone ${step}`);
          world.appended.push(`from the phone ${step}`);
        } else if (choice < 0.48) await waitFor(10);
        else if (choice < 0.5) await world.server.backUp();
        else if (choice < 0.52) await world.server.restore();
        else await world.append(tab);
      }
      world.network.faulty = 0;
      // What the server has acknowledged just before it was restored counts from now on, not from the next hour.
      for (const tab of world.tabs) await tab.client.sync();
      await other.sync();
      // Then a client asks whether the server still has what it has acknowledged.
      world.clock.pass(3600_000);
      for (const tab of world.tabs) await tab.client.sync();
      await other.sync();
      for (const tab of world.tabs) await tab.client.sync();
      const { own } = await world.place.memory.load();
      assert.equal(own.length, 1, "one client id");
      const all = [...new Set(phone)].sort();
      assert.deepEqual(phone.toSorted(), all, "each once on the phone");
      assert.deepEqual(
        world.appended.filter((text) => !all.includes(text)),
        [],
      );
      for (const tab of world.tabs) {
        // A slot whose tab has crashed may have had something before that was recorded.
        const got = world.anew ? tab.received : [...new Set(tab.received)];
        assert.deepEqual(got.toSorted(), all, `what the tab ${tab.slot} has`);
        assert.equal(tab.client.status.state, "synced");
      }
      const codes = await Promise.all(
        [other, ...world.tabs.map(({ client }) => client)].map((client) => client.stateCode()),
      );
      assert.equal(new Set(codes).size, 1);
      for (const { client } of [...world.tabs]) await client.close();
      await other.close();
    });
  }
});

let made: Promise<Identity> | undefined;

function identity(): Promise<Identity> {
  made ??= newIdentity();
  return made;
}
