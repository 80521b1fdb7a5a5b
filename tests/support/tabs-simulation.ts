/** Tabs that share one log: each entry once in each of them, whichever of them crashes. */
import assert from "node:assert/strict";
import { type Entry, type Identity, SyncClient, textOf } from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { SharedPlace, type TabStore } from "./shared-place.ts";
import {
  JumpingClock,
  nextTick,
  randomFrom,
  SimulatedNetwork,
  SimulatedServer,
  URL_OF_SERVER,
} from "./simulated-network.ts";
import { withSimulatedUser } from "./simulated-user.ts";

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
  readonly clock = new JumpingClock();
  readonly server = new SimulatedServer({}, this.clock);
  readonly network: SimulatedNetwork;
  readonly place: SharedPlace;
  readonly tabs: OpenTab[] = [];
  /** What `append` returned for. */
  readonly appended: string[] = [];
  /** What was delivered in each slot, over all tabs that had it. */
  readonly #slots = new Map<number, string[]>();
  /** Whether tabs have everything delivered anew, instead of what their slot has not had. */
  readonly anew: boolean;
  /** For how long clients gather what they send. */
  readonly gather: number;
  #next = 0;

  constructor(identity: Identity, seed: number) {
    this.identity = identity;
    this.anew = seed % 2 === 0;
    this.gather = seed % 3 === 0 ? 200 : 0;
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
      gather: this.gather,
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

/**
 * Runs one seed. Throws an `AssertionError` where an invariant breaks. Returns the next random number: the
 * same as in another run if the same has happened in both.
 */
export function simulateTabs(seed: number): Promise<number> {
  return withSimulatedUser(seed, async (identity) => {
    const world = new World(identity, seed);
    const phone: string[] = [];
    const other = await SyncClient.open({
      ...world.options((entries) => phone.push(...entries.map(({ data }) => textOf(data)))),
      store: new MemoryStore(),
    });
    try {
      await simulate(world, other);
      await check(world, other, phone);
      return world.random();
    } finally {
      world.network.faulty = 0;
      for (const { client } of world.tabs) await client.close();
      await other.close();
      await world.server.stop();
    }
  });
}

/** Does things by chance, and at last has all sync without faults. */
async function simulate(world: World, other: SyncClient): Promise<void> {
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
}

/** @param phone what was delivered on the other device */
async function check(world: World, other: SyncClient, phone: readonly string[]): Promise<void> {
  const { own } = await world.place.memory.load();
  assert.equal(own.length, 1, "one client id");
  const all = [...new Set(phone)].sort();
  assert.deepEqual(phone.toSorted(), all, "each once on the phone");
  const lost = world.appended.filter((text) => !all.includes(text));
  assert.deepEqual(lost, [], "what is lost");
  for (const tab of world.tabs) {
    // A slot whose tab has crashed may have had something before that was recorded.
    const got = world.anew ? tab.received : [...new Set(tab.received)];
    assert.deepEqual(got.toSorted(), all, `what the tab ${tab.slot} has`);
    assert.equal(tab.client.status.state, "synced");
  }
  const clients = [other, ...world.tabs.map(({ client }) => client)];
  const codes = await Promise.all(clients.map((client) => client.stateCode()));
  assert.equal(new Set(codes).size, 1, "one code of the state");
}
