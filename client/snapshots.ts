/**
 * Snapshots of the user's devices: begins with one that the server sends, gives the app the state of the
 * one that is kept where it needs that, and keeps each new one in the place of what it stands for.
 */
import type { Line } from "../protocol/types.ts";
import type { CatchUp } from "./catch-up.ts";
import type { Comparison } from "./comparison.ts";
import type { Delivery } from "./delivery.ts";
import { StoreDamaged } from "./errors.ts";
import {
  countCovered,
  type KeptSnapshot,
  type OpenSnapshot,
  openSnapshot,
} from "./kept-snapshot.ts";
import type { Covered } from "./operation.ts";
import type { SyncOptions } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import { lastOf, type Positions } from "./positions.ts";
import type { ReceivedLog } from "./received-log.ts";
import type { Clock } from "./types.ts";
import type { RunVerifier } from "./verify.ts";

/** How long the client asks without snapshots after it has rejected one. */
const DECLINE_MS = 3600_000;

/** What snapshots work with. */
export interface SnapshotsOptions {
  readonly app: Pick<SyncOptions, "snapshot">;
  readonly kept: KeptSnapshot;
  readonly log: ReceivedLog;
  readonly outbox: Outbox;
  readonly positions: Positions;
  readonly comparison: Comparison;
  readonly catchUp: CatchUp;
  readonly delivery: Delivery;
  readonly verifier: RunVerifier;
  readonly clock: Clock;
  /** Goes on under a new client id, with what the server has not acknowledged under the old one. */
  readonly giveUp: (client: string) => Promise<void>;
}

export class Snapshots {
  readonly #options: SnapshotsOptions;
  /** When it has rejected one. */
  #declinedAt = -Infinity;
  /** The one among the operations received that stands for most, until it is kept. */
  #received: { readonly line: Line; readonly covered: Covered } | undefined;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  /** Whether the server may begin an answer with a snapshot. */
  get areTaken(): boolean {
    const { app, clock } = this.#options;
    // By the distance: a clock that was set back would never reach it.
    const since = Math.abs(clock.now() - this.#declinedAt);
    return app.snapshot !== undefined && since >= DECLINE_MS;
  }

  /** The log cannot be read without them: the next one is taken, if that is right. */
  require(): void {
    this.#declinedAt = -Infinity;
  }

  /**
   * Takes a snapshot with which an answer begins. Returns whether the rest of the answer follows on what
   * the device has then. If not, it is to be left, and the server asked again.
   */
  async take(line: Line): Promise<boolean> {
    const { kept, positions, comparison, verifier, clock } = this.#options;
    const opened = await openSnapshot(verifier, line);
    const isRight = opened !== undefined && isAsSaid(line, opened.covered);
    if (isRight) await this.#giveUpShared(opened.covered);
    if (!isRight || (await comparison.differs(line.client, opened.covered))) {
      this.#declinedAt = clock.now();
      return false;
    }
    const { covered } = opened;
    const before = positions.all;
    if (this.#isCovered(covered)) await this.#keep(line, covered);
    else {
      // Until the app has all that goes with it, a crash has it loaded again.
      await kept.keep(line, covered, false);
      await this.load();
    }
    // Not so where it does not stand for what is not kept any more.
    return before.every(({ client, index }) => index <= lastOf(positions.get(client)));
  }

  /**
   * Takes a new client id, where the snapshot stands for what this device has not created under one of its
   * own: what is to be sent under that, it goes on with under the new one.
   */
  async #giveUpShared(covered: Covered): Promise<void> {
    const { outbox, giveUp } = this.#options;
    for (const { client, length, acknowledged } of [...outbox.own]) {
      const cursor = covered.get(client);
      const isOver = client !== outbox.client && acknowledged === length;
      if (cursor === undefined || isOver) continue;
      if ((await outbox.tagAt(client, cursor.index)) !== cursor.tag) await giveUp(client);
    }
  }

  /**
   * Gives the app the state of the snapshot that is kept, and then what the device has behind that,
   * where the app lacks what is no longer kept.
   */
  async load(): Promise<void> {
    const { kept, log, outbox, positions, catchUp, delivery } = this.#options;
    const opened = await this.#open();
    if (opened === undefined) return;
    const { name } = kept;
    await delivery.load(opened.state, opened.covered);
    await catchUp.restart(opened.covered);
    // Others last: without them, the next start loads it again.
    await outbox.recordDelivered();
    await log.restartDelivered(positions.allDelivered);
    await delivery.own();
    await catchUp.deliverStored();
    await kept.setLoaded(name);
  }

  /** The snapshot that the app needs, if it needs one. */
  async #open(): Promise<OpenSnapshot | undefined> {
    const { kept } = this.#options;
    try {
      await kept.learn();
      return this.#mustLoad ? await kept.open() : undefined;
    } catch (error) {
      if (!(error instanceof StoreDamaged)) throw error;
      await this.#drop();
      return undefined;
    }
  }

  get #mustLoad(): boolean {
    const { app, kept, log, positions } = this.#options;
    if (app.snapshot === undefined || kept.name === undefined) return false;
    const isBehind = log.starts.some(({ client, index }) => {
      return lastOf(positions.delivered(client)) < index;
    });
    return isBehind || !kept.name.isLoaded || this.#isFirst;
  }

  /** Whether the app has nothing of what the snapshot stands for, as one that begins without data. */
  get #isFirst(): boolean {
    const { kept, positions, outbox } = this.#options;
    return [...kept.covered.keys()].every((client) => {
      const own = outbox.own.find((one) => one.client === client)?.delivered;
      const isNone = own === undefined || own.index + own.position === 0;
      return isNone && positions.delivered(client) === undefined;
    });
  }

  /** The snapshot cannot be read: the server has to send it again, or what it stands for. */
  async #drop(): Promise<void> {
    const { kept, log, positions } = this.#options;
    const { name } = kept;
    for (const { client } of log.starts) {
      await log.forget(client, undefined);
      positions.setStored(client, undefined);
    }
    await kept.drop(name);
  }

  /** Takes note of a snapshot that was received as an operation, or was acknowledged. */
  async note(line: Line): Promise<void> {
    const opened = await openSnapshot(this.#options.verifier, line);
    const most = countCovered(this.#received?.covered);
    if (opened !== undefined && countCovered(opened.covered) >= most) {
      this.#received = { line, covered: opened.covered };
    }
  }

  /** Keeps the snapshot that was noted, once the app has everything that it stands for. */
  async settle(): Promise<void> {
    if (this.#received === undefined || this.#options.app.snapshot === undefined) return;
    const { line, covered } = this.#received;
    if (!this.#isCovered(covered)) return;
    this.#received = undefined;
    await this.#keep(line, covered);
  }

  /** Keeps a snapshot in the place of what it stands for, which the app has. */
  async #keep(line: Line, covered: Covered): Promise<void> {
    const { kept, log, positions, comparison } = this.#options;
    if (countCovered(covered) <= countCovered(kept.covered)) return;
    if (await comparison.differs(line.client, covered)) return;
    await kept.keep(line, covered, true);
    for (const [client, { index }] of covered) {
      // What is own is not in this log, and stays: a server that was restored from a backup has it from
      // here. What lies behind the position stays whole: what is kept of a client id is consecutive.
      const position = positions.get(client);
      if (position?.index === index) await log.trim(position);
    }
  }

  /** Whether the app was given everything that a snapshot stands for, and the device has all of it. */
  #isCovered(covered: Covered): boolean {
    const { outbox, positions } = this.#options;
    return [...covered.values()].every(({ client, index }) => {
      if (index < outbox.lengthOf(client)) return true;
      // A damaged store can have less than the app was given.
      const both = [positions.get(client), positions.delivered(client)];
      return both.every((position) => lastOf(position) >= index);
    });
  }

  /** How many operations of an own client id the kept snapshot stands for: the server has had these. */
  async countOwn(outbox: Outbox, client: string): Promise<number> {
    const cursor = this.#options.kept.covered.get(client);
    if (cursor === undefined) return 0;
    return (await outbox.tagAt(client, cursor.index)) === cursor.tag ? cursor.index + 1 : 0;
  }
}

/** Whether a snapshot covers what is said beside it, and nothing else. */
function isAsSaid({ client, covers = {} }: Line, covered: Covered): boolean {
  const said = new Map(Object.entries(covers));
  // Of its own client id, it stands for everything before it.
  said.set(client, (said.get(client) ?? -1) + 1);
  return (
    said.size === covered.size &&
    [...covered.values()].every((one) => said.get(one.client) === one.index)
  );
}
