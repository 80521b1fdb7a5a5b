/** Hands entries to the app: one call after the other, and own ones before those that came later. */

import type { Bytes } from "../protocol/bytes.ts";
import { isAt } from "./continues.ts";
import { StoreDamaged } from "./errors.ts";
import type { Covered } from "./operation.ts";
import type { SyncOptions } from "./options.ts";
import type { OwnHistory, OwnProgress } from "./own-history.ts";
import { lastOf } from "./positions.ts";
import { SerialQueue } from "./serial-queue.ts";
import type { Moved, Place } from "./stores/store.ts";
import type { Cursor, Entry } from "./types.ts";

const BEGINNING = { index: 0, position: 0 };

/** What a delivery works with. */
export interface DeliveryOptions {
  readonly outbox: OwnHistory;
  readonly app: Pick<SyncOptions, "receive" | "onClientChange" | "snapshot">;
  /** Nothing more is handed to the app once it is aborted. */
  readonly signal: AbortSignal;
}

/** Delivers the entries that were created here as soon as they are durable, and those of others. */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #queue = new SerialQueue();
  /** A delivery of own entries that has not begun. */
  #next: Promise<void> | undefined;

  constructor(options: DeliveryOptions) {
    this.#options = options;
  }

  /**
   * Goes on from the app's positions, instead of from what the store has recorded.
   *
   * @returns those that are not of own entries
   */
  startAt(cursors: readonly Cursor[]): Cursor[] {
    const others = new Map(cursors.map((cursor) => [cursor.client, cursor]));
    for (const own of this.#options.outbox.own) {
      const cursor = others.get(own.client);
      if (cursor?.entries !== undefined) {
        own.delivered = { index: cursor.index + 1, position: cursor.entries };
        others.delete(own.client);
      } else if (cursor !== undefined) {
        // Others are only received of an own client id that was given up, after all that is own of it.
        own.delivered = { index: own.length, position: 0 };
      } else own.delivered = this.#hasOldNames(own) ? undefined : BEGINNING;
    }
    return [...others.values()];
  }

  /** Delivers the entries that were created here and were not delivered. */
  own(): Promise<void> {
    this.#next ??= this.#queue.run(() => {
      this.#next = undefined;
      return this.#deliverOwn();
    });
    return this.#next;
  }

  /** Delivers entries of another installation. */
  others(entries: readonly Entry[], cursor: Cursor): Promise<void> {
    return this.#queue.run(async () => {
      try {
        await this.#deliverOwn();
      } catch (error) {
        // Each round reports it. What cannot be read of own ones does not hold up the others.
        if (!(error instanceof StoreDamaged)) throw error;
      }
      await this.#options.app.receive(entries, cursor, false);
    });
  }

  /** Hands the state of a snapshot to the app: what that does not stand for is delivered again. */
  load(state: Bytes, covered: Covered): Promise<void> {
    return this.#queue.run(async () => {
      const { outbox, app } = this.#options;
      const places = new Map<OwnProgress, number>();
      for (const own of outbox.own) places.set(own, await this.#nextAfter(own, covered));
      const cursors = [...covered.values()].map((cursor) => {
        // Of what was appended here, a cursor says so.
        return cursor.index < outbox.lengthOf(cursor.client) ? { ...cursor, entries: 0 } : cursor;
      });
      await app.snapshot?.load(state, cursors);
      for (const [own, index] of places) own.delivered = { index, position: 0 };
    });
  }

  /** The index after the own operations that a snapshot stands for, under any client id. */
  async #nextAfter({ client, length }: OwnProgress, covered: Covered): Promise<number> {
    let next = lastOf(covered.get(client)) + 1;
    const continues = length > 0 ? await this.#options.outbox.continuedBy(client) : [];
    for (const one of continues) {
      const old = covered.get(one.client);
      const at = lastOf(old) - one.index;
      if (old !== undefined && isAt(one, at, old.tag)) next = Math.max(next, at + 1);
    }
    return Math.min(next, length);
  }

  /** Runs a task while nothing is handed to the app, after all own entries were. */
  whenDelivered<Result>(task: () => Promise<Result>): Promise<Result> {
    return this.#queue.run(async () => {
      await this.#deliverOwn();
      return task();
    });
  }

  /** Resolves once the app has returned from what was handed to it. */
  async end(): Promise<void> {
    await this.#queue.run(async () => undefined);
  }

  async #deliverOwn(): Promise<void> {
    const { outbox, app, signal } = this.#options;
    for (const own of outbox.own) {
      if (own.moved && !own.delivered) await this.#begin(own, own.moved);
      const from = own.delivered ?? BEGINNING;
      for await (const { entries, next } of outbox.entries(own.client, from)) {
        const cursor = await outbox.cursorAt(own.client, next.index - 1);
        if (signal.aborted) return;
        // Drafts follow an operation, so these were moved meanwhile: they come under their new names.
        if (cursor === undefined) break;
        if (entries.length > 0)
          await app.receive(entries, { ...cursor, entries: next.position }, true);
        own.delivered = next;
      }
    }
  }

  /** The app learns the new names of entries before it receives more under the new client id. */
  async #begin(own: OwnProgress, moved: Moved): Promise<void> {
    const { outbox, app } = this.#options;
    const { from, first, count } = moved;
    let { index, position } = this.#placeAfter(moved);
    // If all of an operation was delivered before it was one, the position is the one after it.
    for await (const { entries, next } of outbox.entries(own.client, { index, position })) {
      if (entries.length === 0) ({ index, position } = next);
      break;
    }
    const cursor = await outbox.cursorAt(own.client, index - 1);
    app.onClientChange?.({
      from,
      to: own.client,
      first,
      count,
      ...(cursor && { cursor: { ...cursor, entries: position } }),
    });
    own.delivered = { index, position };
  }

  /** The first place of an own client id of which the entry was not delivered, under any name. */
  #placeIn(client: string): Place {
    const own = this.#options.outbox.own.find((one) => one.client === client);
    return own?.delivered ?? (own?.moved ? this.#placeAfter(own.moved) : BEGINNING);
  }

  /** The same place, after entries were moved. */
  #placeAfter({ from, first }: Moved): Place {
    const { index, position } = this.#placeIn(from);
    return index < first ? BEGINNING : { index: index - first, position };
  }

  /** Whether the app has entries under the names that they had before they were moved. */
  #hasOldNames({ moved }: OwnProgress): boolean {
    if (moved === undefined) return false;
    const { index, position } = this.#placeIn(moved.from);
    return index + Math.min(position, 1) > moved.first;
  }
}
