/** A device with an app that can crash at any step, and its disk. */
import assert from "node:assert/strict";
import {
  type ClientChange,
  type Created,
  type Cursor,
  type Head,
  type Identity,
  type OperationName,
  type Refusal,
  type Store,
  SyncClient,
  textOf,
} from "../../client/index.ts";
import { MemoryStore } from "../../client/memory.ts";
import { SerialQueue } from "../../client/serial-queue.ts";
import { type JumpingClock, nextTick, URL_OF_SERVER } from "./simulated-network.ts";

export interface World {
  readonly identity: Identity;
  readonly clock: JumpingClock;
  readonly fetch: (request: Request) => Promise<Response>;
  readonly random: () => number;
  /** Whether devices wait for news, and need no `sync`. */
  readonly isLive?: boolean;
  /** After how many characters of operations a device makes a snapshot, if it does. */
  readonly every?: number;
  /** Whether requests are signed; by default where snapshots are made. */
  readonly sign?: boolean;
}

/** The devices of a simulation, by their numbers; no text is appended twice. */
export class Devices {
  readonly all: readonly Device[];
  #created = 0;

  constructor(world: World, count: number) {
    this.all = Array.from({ length: count }, () => new Device(world));
  }

  at(index: number): Device {
    return this.all[index] ?? assert.fail();
  }

  /** Appends operations on a device. */
  append(index: number, count: number): Promise<void> {
    const texts = Array.from({ length: count }, () => `operation ${this.#created++}`);
    return this.at(index).append(texts);
  }
}

class Crashed extends Error {
  override name = "Crashed";
}

/** What survives a crash: the client's store, and the app's data together with the cursors. */
interface Disk {
  readonly store: MemoryStore;
  /** The texts that were delivered to the app, in order. */
  received: string[];
  readonly cursors: Map<string, Cursor>;
  /** The last entry of each client id that was delivered. */
  readonly last: Map<string, Created>;
}

export class Device {
  readonly refusals: Refusal[] = [];
  readonly changes: ClientChange[] = [];
  /** The texts for which `append` has returned, with their places. */
  readonly created = new Map<string, Created>();
  /** How often it has crashed. */
  crashes = 0;
  /** How many snapshots it has saved and loaded. */
  readonly snapshots = { saved: 0, loaded: 0 };
  readonly #world: World;
  #disk: Disk = { store: new MemoryStore(), received: [], cursors: new Map(), last: new Map() };
  /** Starting, running, or crashed. */
  #session: Promise<Session> | undefined;
  /** The device starts, ends and is copied one after the other. */
  readonly #queue = new SerialQueue();

  constructor(world: World) {
    this.#world = world;
  }

  async append(texts: readonly string[]): Promise<void> {
    const session = await this.#start();
    await session.unlessCrashed(async (client) => {
      for (const [i, place] of (await client.appendAll(texts)).entries()) {
        this.created.set(texts[i] ?? "", place);
      }
    });
  }

  /** The texts for which `append` has returned. */
  get appended(): string[] {
    return [...this.created.keys()];
  }

  /** Syncs, unless the device crashes meanwhile. */
  async sync(): Promise<boolean> {
    const session = await this.#start();
    return session.unlessCrashed((client) => client.sync());
  }

  /** What it gives with the text of the key, unless it crashes meanwhile. */
  async heads(): Promise<readonly Head[]> {
    const session = await this.#start();
    let heads: readonly Head[] = [];
    await session.unlessCrashed(async (client) => {
      heads = await client.heads();
    });
    return heads;
  }

  /** The device crashes after some more accesses to its disk. */
  async crashAfter(steps: number): Promise<void> {
    const session = await this.#start();
    session.crashAfter(steps);
  }

  stop(): Promise<void> {
    return this.#queue.run(() => this.#end());
  }

  /** All texts on the device: created and received. */
  async held(): Promise<string[]> {
    const { client } = await this.#start();
    const texts: string[] = [];
    for await (const entries of client.entries()) {
      texts.push(...entries.map(({ data }) => textOf(data)));
    }
    return texts.sort();
  }

  /**
   * Asserts that everything was delivered to the app once, and nothing else was; and that entries have
   * the places that `append` returned, unless they were moved.
   *
   * @param isWhole whether no snapshot stands for a part of it
   */
  async checkEntries(isWhole = true): Promise<void> {
    const { client } = await this.#start();
    const held: string[] = [];
    for await (const entries of client.entries()) {
      for (const { data, ...place } of entries) {
        const text = textOf(data);
        held.push(text);
        if (client.isOwn(place) && this.changes.length === 0) {
          assert.deepEqual(place, this.created.get(text) ?? place, text);
        }
      }
    }
    const { received } = this.#disk;
    if (isWhole) for (const text of received) assert.ok(held.includes(text), `${text} is not kept`);
    for (const text of held) assert.ok(received.includes(text), `${text} is not delivered`);
    assert.equal(new Set(received).size, received.length, "delivered once");
  }

  /** How often the app fails to load a snapshot. */
  failures = 0;

  /** The characters of operations that its disk takes at once. */
  room = Number.POSITIVE_INFINITY;
  /** How often it had no room. */
  full = 0;

  /** The app loses its data, and begins with nothing. */
  async forgetData(): Promise<void> {
    await this.stop();
    const { store } = this.#disk;
    this.#disk = { store, received: [], cursors: new Map(), last: new Map() };
  }

  /** The snapshot on the disk is no longer what was written. */
  async damageSnapshot(): Promise<void> {
    await this.stop();
    const { store } = this.#disk;
    const { snapshot = assert.fail("there is none") } = await store.load();
    const payload = (await store.readSnapshot()) ?? "";
    await store.keepSnapshot({ ...snapshot, payload: payload.slice(0, -8) }, true);
  }

  /** How many operations of others it keeps, and whether it keeps a snapshot. */
  async kept(): Promise<{ readonly operations: number; readonly snapshot: boolean }> {
    const { store } = this.#disk;
    const { cursors, snapshot } = await store.load();
    const all = cursors.map(({ client }) => store.readReceived(client, 0, Infinity));
    const payloads = (await Promise.all(all)).flatMap((one) => one.payloads);
    return { operations: payloads.length, snapshot: snapshot !== undefined };
  }

  /** The store loses what it has received, while the app has it. */
  async loseReceived(): Promise<void> {
    await this.stop();
    const { store } = this.#disk;
    for (const { client } of (await store.load()).cursors) await store.forget(client, undefined);
    await store.keepSnapshot(undefined, true);
  }

  /** The operations that are too large for the server. */
  async tooLarge(): Promise<readonly OperationName[]> {
    return (await this.#start()).client.tooLarge;
  }

  /** What the app has. */
  get texts(): readonly string[] {
    return this.#disk.received;
  }

  /** What the client says now that it refuses. */
  async refused(): Promise<readonly Refusal[]> {
    return (await this.#start()).client.refusals;
  }

  /** Replaces the disk of this device with a copy of another one's. */
  async copy(other: Device): Promise<void> {
    const disk = await other.#queue.run(async () => {
      await other.#end();
      return copyOf(other.#disk);
    });
    await this.#queue.run(async () => {
      await this.#end();
      this.#disk = disk;
    });
  }

  #start(): Promise<Session> {
    return this.#queue.run(async () => {
      if ((await this.#session)?.over) await this.#end();
      this.#session ??= Session.start(this.#world, this.#disk, this);
      return this.#session;
    });
  }

  async #end(): Promise<void> {
    const session = await this.#session;
    if (session?.over) this.crashes++;
    await session?.end();
    this.#session = undefined;
  }
}

/**
 * Copies acknowledged operations only. Two copies of an unacknowledged one would both be moved to
 * new client ids and become two operations.
 */
async function copyOf({ store, received, cursors, last }: Disk): Promise<Disk> {
  const copy = new MemoryStore();
  const state = await store.load();
  for (const { client, acknowledged } of state.own) {
    const payloads = await store.read(client, 0, acknowledged, Number.POSITIVE_INFINITY);
    await copy.begin(client);
    await copy.append(client, 0, payloads);
    await copy.acknowledge(client, acknowledged);
  }
  for (const start of state.starts) await copy.forget(start.client, start);
  const payload = await store.readSnapshot();
  if (state.snapshot !== undefined && payload !== undefined) {
    await copy.keepSnapshot({ ...state.snapshot, payload }, state.snapshot.isLoaded);
  }
  for (const cursor of state.cursors) {
    const all = await store.readReceived(cursor.client, 0, Number.POSITIVE_INFINITY);
    if (all.payloads.length > 0) await copy.receive(cursor, all.payloads);
  }
  return { store: copy, received: [...received], cursors: new Map(cursors), last: new Map(last) };
}

/** One run of the app, from its start to its end or crash. */
class Session {
  readonly client: SyncClient;
  readonly #fuse: Fuse;

  private constructor(client: SyncClient, fuse: Fuse) {
    this.client = client;
    this.#fuse = fuse;
    fuse.signal.addEventListener("abort", () => this.#close());
  }

  static async start(world: World, disk: Disk, device: Device): Promise<Session> {
    const fuse = new Fuse();
    const client = await SyncClient.open({
      url: URL_OF_SERVER,
      identity: world.identity,
      store: fuse.guard(disk.store, (characters) => {
        if (characters <= device.room) return;
        device.full++;
        throw new Error("the disk is full");
      }),
      cursors: [...disk.cursors.values()],
      receive: async (entries, cursor, isOwn) => {
        await nextTick();
        // One transaction of the app: its data, and the cursor with it.
        await fuse.step(async () => {
          const isWhole = world.every === undefined;
          for (const entry of entries) {
            assert.equal(entry.client, cursor.client);
            const last = disk.last.get(entry.client);
            assert.ok(isNext(entry, last, isWhole), "in order, without holes");
            disk.received.push(textOf(entry.data));
            disk.last.set(entry.client, entry);
          }
          // Own ones of the operation after it are delivered before they are sent.
          const { entries: more = 0 } = cursor;
          assert.equal(cursor.entries !== undefined, isOwn);
          const index = cursor.index + (more > 0 ? 1 : 0);
          // The operations behind it may be snapshots.
          assert.ok(index >= (entries.at(-1)?.index ?? Infinity));
          if (isWhole) assert.equal(index, entries.at(-1)?.index);
          disk.cursors.set(cursor.client, cursor);
        });
      },
      ...(world.every !== undefined && {
        snapshot: {
          every: world.every,
          save: async () => {
            await nextTick();
            device.snapshots.saved++;
            return JSON.stringify(disk.received);
          },
          load: async (state, cursors) => {
            await nextTick();
            if (--device.failures >= 0) throw new Error("the app cannot load it");
            // One transaction of the app, as above.
            await fuse.step(async () => {
              disk.received = JSON.parse(textOf(state));
              disk.last.clear();
              disk.cursors.clear();
              for (const cursor of cursors) disk.cursors.set(cursor.client, cursor);
              device.snapshots.loaded++;
            });
          },
        },
      }),
      onRefusal: (refusal) => device.refusals.push(refusal),
      onClientChange: (change) => {
        device.changes.push(change);
        // What comes under the old client id from then on is of another device.
        disk.last.delete(change.from);
        if (change.cursor !== undefined) disk.cursors.set(change.to, change.cursor);
      },
      fetch: world.fetch,
      clock: world.clock,
      random: world.random,
      sign: world.sign ?? world.every !== undefined,
      pollInterval: world.isLive === true ? 3600_000 : Number.POSITIVE_INFINITY,
      idleTimeout: Number.POSITIVE_INFINITY,
      signal: fuse.signal,
    });
    return new Session(client, fuse);
  }

  /** Whether it has crashed or ended. */
  get over(): boolean {
    return this.#fuse.blown;
  }

  crashAfter(steps: number): void {
    this.#fuse.steps = steps;
  }

  /** Whether it was done before the end. */
  async unlessCrashed(work: (client: SyncClient) => Promise<unknown>): Promise<boolean> {
    try {
      await work(this.client);
      return true;
    } catch (error) {
      if (this.over) return false;
      throw error;
    }
  }

  async end(): Promise<void> {
    this.#fuse.blow();
    await this.#close();
  }

  /** What it has not recorded by then is lost. */
  async #close(): Promise<void> {
    await this.client.close().catch((error: unknown) => {
      if (!(error instanceof Crashed)) throw error;
    });
  }
}

/**
 * Whether an entry comes directly after another one of its client id; any may be the first.
 *
 * @param isWhole whether each operation has an entry, as no snapshot has
 */
function isNext(
  { index, position }: Created,
  last: Created | undefined,
  isWhole: boolean,
): boolean {
  if (last === undefined) return position === 0;
  if (index === last.index) return position === last.position + 1;
  return position === 0 && (isWhole ? index === last.index + 1 : index > last.index);
}

/** Counts accesses to the disk. Once it has blown, nothing reaches the disk. */
class Fuse {
  steps = Number.POSITIVE_INFINITY;
  readonly #controller = new AbortController();

  get blown(): boolean {
    return this.#controller.signal.aborted;
  }

  /** Aborted by the crash. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  async step<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.blown) throw new Crashed();
    this.steps -= 1;
    // Half of the crashes come right before the step, and half right after it.
    if (this.steps < 0) throw this.blow();
    const result = await work();
    this.steps -= 1;
    if (this.steps < 0) throw this.blow();
    return result;
  }

  /** @param checkRoom throws where there is no room for so many characters of operations */
  guard(store: Store, checkRoom: (characters: number) => void): Store {
    const append: Store["append"] = async (client, first, payloads) => {
      checkRoom(payloads.join("").length);
      await this.step(() => store.append(client, first, payloads));
    };
    return {
      append,
      load: () => this.step(() => store.load()),
      begin: (client) => this.step(() => store.begin(client)),
      read: (...of) => this.step(() => store.read(...of)),
      acknowledge: (...of) => this.step(() => store.acknowledge(...of)),
      appendDraft: (...of) => this.step(() => store.appendDraft(...of)),
      receive: (...of) => this.step(() => store.receive(...of)),
      readReceived: (...of) => store.readReceived(...of),
      forget: (...of) => this.step(() => store.forget(...of)),
      keepSnapshot: (...of) => this.step(() => store.keepSnapshot(...of)),
      snapshotLoaded: () => this.step(() => store.snapshotLoaded()),
      readSnapshot: () => store.readSnapshot(),
      cut: (...of) => this.step(() => store.cut(...of)),
      move: (move) => this.step(() => store.move(move)),
      abandoned: async () => [],
      close: async () => undefined,
    };
  }

  blow(): Crashed {
    this.#controller.abort(new Crashed());
    return new Crashed();
  }
}
