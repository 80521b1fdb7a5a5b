/** Makes snapshots, once enough was appended since the last one. */
import { type Bytes, utf8 } from "../protocol/bytes.ts";
import type { Delivery } from "./delivery.ts";
import type { KeptSnapshot } from "./kept-snapshot.ts";
import type { SyncOptions } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import { lastOf, type Positions } from "./positions.ts";
import type { ReceivedLog } from "./received-log.ts";
import type { SavedState } from "./snapshot-handler.ts";
import type { Transport } from "./transport.ts";
import type { Clock, Cursor } from "./types.ts";

const DEFAULT_EVERY = 1024 * 1024;

/** How long after a failed snapshot the next one is made. */
const RETRY_MS = 3600_000;

/** How much of a request each client id takes that a snapshot covers, in its sync status and in `covers`. */
const CHARACTERS_PER_CLIENT = 2 * 60;
/** What else a request has: the user's key above all. */
const CHARACTERS_OF_REQUEST = 4096;

/** What a snapshot maker works with. */
export interface SnapshotMakerOptions {
  readonly app: Pick<SyncOptions, "snapshot" | "sign">;
  readonly kept: KeptSnapshot;
  readonly log: ReceivedLog;
  readonly outbox: Outbox;
  readonly positions: Positions;
  readonly delivery: Delivery;
  readonly transport: Pick<Transport, "maxBody">;
  readonly clock: Clock;
  /** From 0 up to 1. */
  readonly random: () => number;
}

export class SnapshotMaker {
  readonly #options: SnapshotMakerOptions;
  /** Devices that receive the same should not all make a snapshot at the same time. */
  readonly #share: number;
  /** The snapshot since which is counted, and the next index to be counted of each client id. */
  #since = "";
  readonly #counted = new Map<string, number>();
  #characters = 0;
  /** When one failed. */
  #failedAt = -Infinity;

  constructor(options: SnapshotMakerOptions) {
    this.#options = options;
    this.#share = 1 + options.random();
  }

  /** No snapshot is made for a while. */
  postpone(): void {
    this.#failedAt = this.#options.clock.now();
  }

  /**
   * Makes a snapshot if it is time, and nothing waits to be sent. Returns whether it has. Where `save`
   * fails, the runtime reports that as uncaught: it holds up nothing. Throws what the store throws.
   */
  async make(): Promise<boolean> {
    const { app, clock } = this.#options;
    if (app.snapshot === undefined || app.sign === false) return false;
    // By the distance: a clock that was set back would never reach it.
    const since = Math.abs(clock.now() - this.#failedAt);
    if (since < RETRY_MS || !this.#isAllSent || !(await this.#isDue())) return false;
    return this.#make();
  }

  get #isAllSent(): boolean {
    const { own, isWaiting } = this.#options.outbox;
    return !isWaiting && own.every(({ length, acknowledged }) => length === acknowledged);
  }

  /**
   * Whether more than a snapshot takes has come since the last one. Other snapshots do not count: devices
   * that made theirs at the same time would find the next ones due by them, again and again.
   */
  async #isDue(): Promise<boolean> {
    const { app, kept, log, outbox } = this.#options;
    const { name, covered, characters } = kept;
    const since = `${name?.client} ${name?.index}`;
    if (since !== this.#since) {
      this.#since = since;
      this.#counted.clear();
      this.#characters = 0;
    }
    const limit = Math.max(app.snapshot?.every ?? DEFAULT_EVERY, characters) * this.#share;
    const count = async (log: Measured, client: string, end: number) => {
      const key = `${log === outbox ? "own" : "received"} ${client}`;
      let at = this.#counted.get(key) ?? lastOf(covered.get(client)) + 1;
      while (at < end && this.#characters <= limit) {
        const { characters, next } = await log.measure(client, at);
        if (next === at) break;
        this.#characters += characters;
        at = next;
      }
      this.#counted.set(key, at);
    };
    for (const { client, length } of outbox.own) await count(outbox, client, length);
    for (const { client, index } of log.ends) await count(log, client, index + 1);
    return this.#characters > limit;
  }

  async #make(): Promise<boolean> {
    const { outbox, positions, delivery, transport } = this.#options;
    const made = await delivery.whenDelivered(async () => {
      const { client } = outbox;
      const index = outbox.lengthOf(client);
      if (!this.#isAllSent || !positions.isEven) return undefined;
      const cursors = await this.#cursors();
      // An operation of its own client id, or of another one: there is nothing to stand for.
      if (index === 0 && cursors.length === 0) return undefined;
      const state = await this.#save();
      return state === undefined ? undefined : { client, index, cursors, state: bytesOf(state) };
    });
    if (made === undefined) return false;
    const { client, index, cursors, state } = made;
    const most = transport.maxBody - CHARACTERS_OF_REQUEST - cursors.length * CHARACTERS_PER_CLIENT;
    // Unless it is stored: on a full disk, what is smaller may still have room.
    this.postpone();
    const result = await outbox.appendSnapshot({ client, index }, { cursors, state }, most);
    // The log grows, and nothing else is wrong.
    if (result !== "too large") this.#failedAt = -Infinity;
    return result === "appended";
  }

  async #save(): Promise<SavedState> {
    try {
      return await this.#options.app.snapshot?.save();
    } catch (error) {
      this.postpone();
      queueMicrotask(() => {
        throw error;
      });
      return undefined;
    }
  }

  /** The positions after everything that the app was given, but for the client id in use. */
  async #cursors(): Promise<Cursor[]> {
    const { outbox, positions } = this.#options;
    // What others have created under a client id that was given up comes after what is own of it.
    const all = [...(await outbox.cursors()), ...positions.all];
    return [...new Map(all.map((cursor) => [cursor.client, cursor])).values()];
  }
}

type Measured = Pick<ReceivedLog, "measure">;

function bytesOf(state: string | Bytes): Bytes {
  return typeof state === "string" ? utf8(state) : state;
}
