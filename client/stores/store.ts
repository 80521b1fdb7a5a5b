/**
 * What a client has to keep, and the contract of what keeps it.
 *
 * A store is one installation: its own operations as they were sealed, what of them the server has
 * acknowledged, and how far it has taken the operations of others. `tests/client/store-contract.ts` is this
 * contract as a suite.
 *
 * - Durable means durable: what a method returned for survives a crash, of the machine as well.
 * - Each change happens whole or not at all, except `append`, of which a crash may leave a leading
 *   part: those operations were never sent.
 * - One client at a time has a store open. Who opens a place that is in use gets another store in
 *   it, with client ids of its own.
 */
import type { Cursor } from "../types.ts";

/** The operations that this installation has created under one client id. */
export interface OwnClient {
  readonly client: string;
  /** How many there are; the index of the next one. */
  readonly length: number;
  /** How many of them the server has acknowledged, from the first on. */
  readonly acknowledged: number;
}

export interface StoreState {
  /** In the order in which they were begun; operations are created under the last. */
  readonly own: readonly OwnClient[];
  /** At most one for each client. */
  readonly cursors: readonly Cursor[];
}

/** How a client id is given up for a new one; see `Store.move`. */
export interface Move {
  readonly from: string;
  /** How many operations stay under the old id. */
  readonly length: number;
  /** The new client id. */
  readonly to: string;
  /** The payloads under the new id, from the index 0 on. */
  readonly payloads: readonly string[];
}

export interface Store {
  load(): Promise<StoreState>;
  /** Begins a client id, with no operations. */
  begin(client: string): Promise<void>;
  /** Adds to the operations of an own client; `first` is its length so far. */
  append(client: string, first: number, payloads: readonly string[]): Promise<void>;
  /**
   * Payloads of an own client from an index on: as many as there are, within `count`, and within
   * `bytes` but for the first.
   */
  read(client: string, first: number, count: number, bytes: number): Promise<string[]>;
  /** Sets how many operations are acknowledged. Fewer than before, if the server has lost some. */
  acknowledge(client: string, acknowledged: number): Promise<void>;
  /** Sets the cursor of a client. */
  advance(cursor: Cursor): Promise<void>;
  /** Replaces all cursors. */
  replaceCursors(cursors: readonly Cursor[]): Promise<void>;
  /** Cuts the operations of one own client, and begins another one with operations: both or neither. */
  move(move: Move): Promise<void>;
  /**
   * Opens the stores of the same place that nobody has open and that hold operations which are not
   * acknowledged: left by a tab or a process that has ended. The caller closes them.
   */
  abandoned(): Promise<Store[]>;
  /** Lets others open this store. Nothing is called after it. */
  close(): Promise<void>;
}
