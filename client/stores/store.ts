/**
 * What a client stores on a device, and the contract of a store. `tests/client/store-contract.ts`
 * is the contract as a test suite.
 *
 * A store holds one installation: its own operations as they were sealed, how many of them the
 * server has acknowledged, and the operations of others that were delivered, as they were received.
 *
 * - Durable: what a method returned for survives a crash, of the machine as well.
 * - Atomic: each change happens completely or not at all, except `append`, of which a crash may
 *   leave the first operations: those were never sent.
 * - Exclusive: one client at a time has a store open. Opening a place that is in use returns
 *   another store in it, with other client ids; or, in a browser, the same log, which tabs change one
 *   after the other (`tabs.ts`).
 *
 * A method rejects with the error of the system, or with `StoreDamaged` where the content is not
 * what was written; then nothing was changed.
 */
import type { Line } from "../../protocol/types.ts";
import type { Created, Cursor, OperationName, Refusal } from "../types.ts";
import type { Following, Tab } from "./tabs.ts";

/** A place among the entries of one client id. */
export type Place = Pick<Created, "index" | "position">;

/** The operations that this installation created under one client id. */
export interface OwnClient {
  readonly client: string;
  /** The number of operations, and so the index of the next one. */
  readonly length: number;
  /** How many of them, from the first on, the server has acknowledged. */
  readonly acknowledged: number;
  /** The most that were ever acknowledged, also if the server has lost some of them since. */
  readonly highWater: number;
  /** The first place of which the entry was not delivered to the app, once that was recorded. */
  readonly delivered?: Place | undefined;
  /** Where its first operations were before they were moved, if they were. */
  readonly moved?: Moved | undefined;
}

/** Operations that were moved to a new client id. */
export interface Moved {
  /** The old client id. */
  readonly from: string;
  /** The old index of the first. */
  readonly first: number;
  readonly count: number;
}

/** The content of a store without the operations themselves. */
export interface StoreState {
  /** In the order in which they were begun; operations are created under the last one. */
  readonly own: readonly OwnClient[];
  /** What waits to become the next operation of that one; see `Store.appendDraft`. */
  readonly drafts: readonly string[];
  /** The position after the operations received of others: at most one for each client id. */
  readonly cursors: readonly Cursor[];
  /** The position before them, of client ids whose first operations are not kept. */
  readonly starts: readonly Cursor[];
  /**
   * The position after the operations of others that were delivered, where not all that are kept need
   * have been; one that is missing is the beginning.
   */
  readonly delivered?: readonly Cursor[];
  /** The snapshot that is kept, if there is one. */
  readonly snapshot?: StoredSnapshot | undefined;
}

/** A snapshot that a device began with, or found to stand for what it had: what is kept goes on from it. */
export interface StoredSnapshot extends OperationName {
  /** Whether the app was given its state, and what follows it, or had all of that before. */
  readonly isLoaded: boolean;
}

/** Consecutive operations of another installation. */
export interface Received {
  /** The index of the first. */
  readonly first: number;
  readonly payloads: readonly string[];
}

/** The change from one client id to a new one; see `Store.move`. */
export interface Move {
  readonly from: string;
  /** How many operations stay under the old client id. */
  readonly length: number;
  /** The new client id. */
  readonly to: string;
  /** The payloads under the new client id, from the index 0 on. */
  readonly payloads: readonly string[];
}

/** Where a client stores an installation. */
export interface Store {
  /** Reads the state. */
  load(): Promise<StoreState>;
  /** Begins a client id, with no operations. */
  begin(client: string): Promise<void>;
  /**
   * Appends operations of an own client id. They take the place of its drafts, which end.
   *
   * @param first the index of the first payload; rejects with a `RangeError` unless it is the next
   */
  append(client: string, first: number, payloads: readonly string[]): Promise<void>;
  /**
   * Adds a draft: a payload like an operation after those that there are and the other drafts, which
   * is none yet. Only the client id in use has drafts.
   *
   * @param index rejects with a `RangeError` unless it is the next
   */
  appendDraft(client: string, index: number, payload: string): Promise<void>;
  /**
   * Reads payloads of an own client id from an index on: at most `count`, and at most `characters`
   * together, but at least one, if there is one.
   */
  read(client: string, first: number, count: number, characters: number): Promise<string[]>;
  /**
   * Sets how many operations are acknowledged: fewer than before, if the server has lost some. The
   * high-water mark stays then.
   *
   * @param delivered records as well up to where entries were delivered
   */
  acknowledge(client: string, acknowledged: number, delivered?: Place): Promise<void>;
  /**
   * Adds operations of another installation, and sets its cursor, together.
   *
   * @param payloads those that end with the cursor; rejects with a `RangeError` unless they follow
   *   what is kept of the client id: at first, the first operation. With none of them, the cursor
   *   takes the place of one at the same index
   */
  receive(cursor: Cursor, payloads: readonly string[]): Promise<void>;
  /**
   * Reads payloads of another installation from an index on, or from the first that is kept: at most
   * `characters` together, but at least one, if there is one.
   */
  readReceived(client: string, first: number, characters: number): Promise<Received>;
  /**
   * Forgets what was received of another installation.
   *
   * @param start what is received later follows this; `undefined` for the first operation
   */
  forget(client: string, start: Cursor | undefined): Promise<void>;
  /** Keeps a snapshot in the place of the one before; `undefined` for none. */
  keepSnapshot(snapshot: Line | undefined, isLoaded: boolean): Promise<void>;
  /** Records that the app was given the state of the one that is kept, and what follows it. */
  snapshotLoaded(): Promise<void>;
  /** The payload of the one that is kept. */
  readSnapshot(): Promise<string | undefined>;
  /**
   * Cuts the operations of one own client id and begins another one with operations, atomically, which
   * says where they were (`OwnClient.moved`). There are no drafts then.
   */
  move(move: Move): Promise<void>;
  /** Removes the operations of an own client id, other than the last one, from an index on. */
  cut(client: string, length: number): Promise<void>;
  /**
   * Opens the stores of the same place that are not open anywhere and hold drafts or
   * unacknowledged operations: those of a tab or a process that has ended. The caller closes them.
   */
  abandoned(): Promise<Store[]>;
  /** If several tabs can have it open. */
  readonly shared?: SharedStore | undefined;
  /** Lets another client open this store. No other method is called afterwards. */
  close(): Promise<void>;
}

/** A store that several tabs have open: each has the same log, and its own places of delivery. */
export interface SharedStore {
  /** Whether another tab has changed the store since `reload`, or since it was opened. */
  isChanged(): Promise<boolean>;
  /** As `Store.load`. Changes from here on are to follow this state: others reject. */
  reload(): Promise<StoreState>;
  /** Runs a task while no other tab changes the store. */
  exclusive<Result>(task: () => Promise<Result>): Promise<Result>;
  /** Records up to where the operations of others were delivered in this tab. */
  recordDelivered(cursors: readonly Cursor[]): Promise<void>;
  /** The same, and nothing of other client ids: the app of this tab was given a state for what it had. */
  restartDelivered(cursors: readonly Cursor[]): Promise<void>;
  /** Joins the other tabs, until the store is closed. */
  join(tab: Tab, app: { readonly onRefusal?: (refusal: Refusal) => void }): Following;
}
