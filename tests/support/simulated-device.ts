/** A device with an app that can crash at any step, and its disk. */
import assert from "node:assert/strict";
import {
  type ClientChange,
  type Cursor,
  type Identity,
  type Operation,
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
}

class Crashed extends Error {
  override name = "Crashed";
}

/** What survives a crash: the client's store, and the app's data together with the cursors. */
interface Disk {
  readonly store: MemoryStore;
  /** The texts that were delivered to the app, in order. */
  readonly received: string[];
  readonly cursors: Map<string, Cursor>;
}

export class Device {
  readonly refusals: Refusal[] = [];
  readonly changes: ClientChange[] = [];
  /** The texts for which `append` has returned. */
  readonly appended: string[] = [];
  readonly #world: World;
  #disk: Disk = { store: new MemoryStore(), received: [], cursors: new Map() };
  /** Starting, running, or crashed. */
  #session: Promise<Session> | undefined;
  /** The device starts, ends and is copied one after the other. */
  readonly #queue = new SerialQueue();

  constructor(world: World) {
    this.#world = world;
  }

  async append(texts: readonly string[]): Promise<void> {
    const session = await this.#start();
    const done = await session.unlessCrashed((client) => client.appendAll(texts));
    if (done) this.appended.push(...texts);
  }

  /** Syncs, unless the device crashes meanwhile. */
  async sync(): Promise<boolean> {
    const session = await this.#start();
    return session.unlessCrashed((client) => client.sync());
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
    const session = await this.#start();
    const texts = [...this.#disk.received];
    for await (const some of session.client.operations()) {
      texts.push(...some.map(({ data }) => textOf(data)));
    }
    return texts.sort();
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
    await (await this.#session)?.end();
    this.#session = undefined;
  }
}

/**
 * Copies acknowledged operations only. Two copies of an unacknowledged one would both be moved to
 * new client ids and become two operations.
 */
async function copyOf({ store, received, cursors }: Disk): Promise<Disk> {
  const copy = new MemoryStore();
  const state = await store.load();
  for (const { client, acknowledged } of state.own) {
    const payloads = await store.read(client, 0, acknowledged, Number.POSITIVE_INFINITY);
    await copy.begin(client);
    await copy.append(client, 0, payloads);
    await copy.acknowledge(client, acknowledged);
  }
  await copy.replaceCursors(state.cursors);
  return { store: copy, received: [...received], cursors: new Map(cursors) };
}

/** One run of the app, from its start to its end or crash. */
class Session {
  readonly client: SyncClient;
  readonly #fuse: Fuse;

  private constructor(client: SyncClient, fuse: Fuse) {
    this.client = client;
    this.#fuse = fuse;
  }

  static async start(world: World, disk: Disk, device: Device): Promise<Session> {
    const fuse = new Fuse();
    const client = await SyncClient.open({
      url: URL_OF_SERVER,
      identity: world.identity,
      store: fuse.guard(disk.store),
      cursors: [...disk.cursors.values()],
      receive: async (operations, cursor) => {
        await nextTick();
        // One transaction of the app: its data, and the cursor with it.
        await fuse.step(async () => {
          const before = disk.cursors.get(cursor.client)?.index ?? firstOf(operations) - 1;
          operations.forEach(({ client: creator, index, data }, i) => {
            assert.equal(creator, cursor.client);
            assert.equal(index, before + 1 + i, "in order, without holes");
            disk.received.push(textOf(data));
          });
          assert.equal(cursor.index, before + operations.length);
          disk.cursors.set(cursor.client, cursor);
        });
      },
      onRefusal: (refusal) => device.refusals.push(refusal),
      onClientChange: (change) => device.changes.push(change),
      fetch: world.fetch,
      clock: world.clock,
      random: world.random,
      sign: false,
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
    await this.client.close();
  }
}

function firstOf(operations: readonly Operation[]): number {
  return operations[0]?.index ?? 0;
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

  guard(store: Store): Store {
    return {
      load: () => this.step(() => store.load()),
      begin: (client) => this.step(() => store.begin(client)),
      append: (...of) => this.step(() => store.append(...of)),
      read: (...of) => this.step(() => store.read(...of)),
      acknowledge: (...of) => this.step(() => store.acknowledge(...of)),
      advance: (cursor) => this.step(() => store.advance(cursor)),
      replaceCursors: (cursors) => this.step(() => store.replaceCursors(cursors)),
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
