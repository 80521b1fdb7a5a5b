import type { Moved, OwnClient, Place } from "./stores/store.ts";

/** Says how many entries each operation of a range of an own client id has. */
export interface EntryCounter {
  countEntries(client: string, first: number, end: number): Promise<number[]>;
}

/** How far the operations of an own client id are created and acknowledged, as the store has it. */
export class OwnOperations implements OwnClient {
  readonly client: string;
  length: number;
  acknowledged: number;
  highWater: number;
  delivered: Place | undefined;
  readonly moved: Moved | undefined;
  /** The number of entries in each operation that is not acknowledged. */
  #unacknowledged: number[] = [];
  /** The number of entries that are not acknowledged: their sum. */
  pending = 0;

  constructor({ client, length, acknowledged, highWater, delivered, moved }: OwnClient) {
    this.client = client;
    this.length = length;
    this.acknowledged = acknowledged;
    this.highWater = highWater;
    this.delivered = delivered;
    this.moved = moved;
  }

  /** Counts the entries of operations behind those that are counted. */
  countAfter(entries: readonly number[]): void {
    for (const count of entries) {
      // An operation without entries is to be sent as well.
      this.#unacknowledged.push(Math.max(count, 1));
      this.pending += Math.max(count, 1);
    }
  }

  /**
   * Sets how many operations are acknowledged.
   *
   * @param again the numbers of entries of those that no longer are
   */
  acknowledge(next: number, again: readonly number[]): void {
    const counted = this.#unacknowledged;
    this.#unacknowledged = [];
    this.pending = 0;
    this.countAfter(again);
    this.countAfter(counted.slice(Math.max(0, next - this.acknowledged)));
    this.acknowledged = next;
    this.highWater = Math.max(this.highWater, next);
  }

  /**
   * Prepares to take what other tabs have changed in the store.
   *
   * @returns what changes it
   */
  async changeTo(
    { length, acknowledged, highWater }: OwnClient,
    log: EntryCounter,
  ): Promise<() => void> {
    const end = Math.min(this.acknowledged, length);
    const again = await log.countEntries(this.client, acknowledged, end);
    const more = await log.countEntries(this.client, this.length, length);
    return () => {
      this.cut(length);
      this.countAfter(more);
      this.length = length;
      this.acknowledge(acknowledged, again);
      this.highWater = highWater;
    };
  }

  /** Keeps the first operations. */
  cut(length: number): void {
    const counted = this.#unacknowledged;
    this.#unacknowledged = [];
    this.pending = 0;
    this.countAfter(counted.slice(0, Math.max(0, length - this.acknowledged)));
    this.length = length;
    this.acknowledged = Math.min(this.acknowledged, length);
    this.highWater = Math.min(this.highWater, length);
  }
}
