import type { Cursor } from "../types.ts";
import type { Move, Store, StoreState } from "./store.ts";

interface Log {
  payloads: string[];
  acknowledged: number;
  highWater: number;
}

/** Stores an installation in memory, for tests and for clients that only read. */
export class MemoryStore implements Store {
  readonly #own = new Map<string, Log>();
  readonly #cursors = new Map<string, Cursor>();

  async load(): Promise<StoreState> {
    return {
      own: [...this.#own].map(([client, { payloads, acknowledged, highWater }]) => ({
        client,
        length: payloads.length,
        acknowledged,
        highWater,
      })),
      cursors: [...this.#cursors.values()],
    };
  }

  async begin(client: string): Promise<void> {
    this.#own.set(client, { payloads: [], acknowledged: 0, highWater: 0 });
  }

  async append(client: string, first: number, payloads: readonly string[]): Promise<void> {
    const log = this.#log(client);
    if (log.payloads.length !== first) {
      throw new RangeError(`the next operation of ${client} is ${log.payloads.length}`);
    }
    for (const payload of payloads) log.payloads.push(payload);
  }

  async read(client: string, first: number, count: number, bytes: number): Promise<string[]> {
    const found: string[] = [];
    let room = bytes;
    for (const payload of this.#log(client).payloads.slice(first, first + count)) {
      room -= payload.length;
      if (room < 0 && found.length > 0) break;
      found.push(payload);
    }
    return found;
  }

  async acknowledge(client: string, acknowledged: number): Promise<void> {
    const log = this.#log(client);
    log.acknowledged = acknowledged;
    log.highWater = Math.max(log.highWater, acknowledged);
  }

  async advance(cursor: Cursor): Promise<void> {
    this.#cursors.set(cursor.client, cursor);
  }

  async replaceCursors(cursors: readonly Cursor[]): Promise<void> {
    this.#cursors.clear();
    for (const cursor of cursors) this.#cursors.set(cursor.client, cursor);
  }

  async move({ from, length, to, payloads }: Move): Promise<void> {
    const log = this.#log(from);
    log.payloads.length = length;
    log.acknowledged = Math.min(log.acknowledged, length);
    log.highWater = Math.min(log.highWater, length);
    this.#own.set(to, { payloads: [...payloads], acknowledged: 0, highWater: 0 });
  }

  async abandoned(): Promise<Store[]> {
    return [];
  }

  async close(): Promise<void> {
    // The content stays: the next client may be given the same store.
  }

  #log(client: string): Log {
    const log = this.#own.get(client);
    if (log === undefined) throw new RangeError(`${client} is no client id of this store`);
    return log;
  }
}
