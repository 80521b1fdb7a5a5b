/** Delivers stored operations of other clients that the app has not received yet. */
import type { Delivery } from "./delivery.ts";
import { StoreDamaged } from "./errors.ts";
import type { KeptSnapshot } from "./kept-snapshot.ts";
import { type Covered, entriesOf, type VerifiedRun } from "./operation.ts";
import type { SyncOptions } from "./options.ts";
import type { OwnHistory } from "./own-history.ts";
import { lastOf, type Positions } from "./positions.ts";
import type { ReceivedLog } from "./received-log.ts";
import type { StoreState } from "./stores/store.ts";
import type { Clock, Cursor, MissingHead } from "./types.ts";

/** What a catch-up works with. */
export interface CatchUpOptions {
  readonly positions: Positions;
  readonly log: ReceivedLog;
  readonly outbox: OwnHistory;
  readonly delivery: Delivery;
  readonly clock: Clock;
  /** Whether this client talks to the server, and no other tab does for it. */
  readonly leads: () => boolean;
  /** Gives the app the kept snapshot, if the app needs it. */
  readonly load: () => Promise<void>;
  readonly app: Pick<SyncOptions, "snapshot">;
  readonly kept: KeptSnapshot;
}

export class CatchUp {
  readonly #options: CatchUpOptions;

  constructor(options: CatchUpOptions) {
    this.#options = options;
  }

  /**
   * Continues from the app's positions, instead of from those in the store.
   *
   * @param cursors those of all clients of which something was delivered
   * @param isNew whether the store is new: then it begins at the positions. If not, it lost in a crash what
   *   the app has, and receives that once more
   */
  async startAt(cursors: readonly Cursor[], isNew: boolean): Promise<void> {
    const { app, kept, log, positions } = this.#options;
    const canLoad = app.snapshot !== undefined && kept.name !== undefined;
    const wanted = new Map(cursors.map((cursor) => [cursor.client, cursor]));
    for (const client of new Set([...positions.clients, ...wanted.keys()])) {
      const position = wanted.get(client);
      const end = lastOf(positions.get(client)) + 1;
      const next = lastOf(position) + 1;
      if (next === end) continue;
      const goesOn = next > end ? !isNew : next >= log.first(client) || canLoad;
      if (goesOn) positions.deliver(client, position);
      else await this.#forget(client, position);
    }
  }

  /** Takes over what other tabs have changed in the store. */
  take(state: StoreState): void {
    const { log, positions } = this.#options;
    for (const client of log.take(state)) positions.setStored(client, log.end(client));
    // Other things may be kept with the others.
    for (const cursor of log.ends) {
      if (positions.get(cursor.client)?.tag === cursor.tag) positions.replace(cursor);
    }
  }

  /** Delivers what is stored and was not delivered. The server has to send again what cannot be read. */
  async run(): Promise<void> {
    await this.#options.load();
    await this.deliverStored();
  }

  /** The same, without loading the snapshot first. */
  async deliverStored(): Promise<void> {
    const { log, positions } = this.#options;
    for (const client of log.damaged) await this.#receiveAgain(client);
    const { behind } = positions;
    try {
      for (const client of behind) await this.deliverStoredOf(client);
    } finally {
      await log.recordDelivered(behind.flatMap((client) => positions.delivered(client) ?? []));
    }
  }

  /** The same for one client id. Returns false if the server has to send what was stored. */
  async deliverStoredOf(client: string): Promise<boolean> {
    const { load, log, positions } = this.#options;
    if (!positions.behind.includes(client)) return true;
    const start = lastOf(log.start(client));
    if (lastOf(positions.delivered(client)) < start) {
      throw new StoreDamaged(`what comes before operation ${start + 1} of ${client} is not kept`);
    }
    try {
      for await (const run of log.runs(client, positions.delivered(client))) {
        if (run.cursor !== undefined) await this.deliver(run, this.#whole(run.cursor));
        positions.deliver(client, run.cursor);
      }
      return true;
    } catch (error) {
      if (!(error instanceof StoreDamaged)) throw error;
      if (log.damaged.has(client)) {
        await this.#receiveAgain(client);
        return false;
      }
    }
    // Another tab has replaced what was to be read by a snapshot.
    await load();
    return this.deliverStoredOf(client);
  }

  /**
   * Has the server send again everything of a client that was stored. It replaces what was stored, and is
   * not delivered again.
   */
  async #receiveAgain(client: string): Promise<void> {
    const { leads, log, positions } = this.#options;
    const start = log.start(client);
    // This tells the leading tab what to ask for.
    if (!leads()) await log.forget(client, start);
    positions.setStored(client, start);
    log.damaged.delete(client);
  }

  /** A position with what is stored along with it. */
  #whole(cursor: Cursor): Cursor {
    const stored = this.#options.positions.get(cursor.client);
    return stored?.index === cursor.index ? stored : cursor;
  }

  /** Has the server send again the operations of a client after a position. */
  async #forget(client: string, position: Cursor | undefined): Promise<void> {
    const { log, positions } = this.#options;
    await log.forget(client, position);
    positions.set(client, position);
  }

  /**
   * The app was given the state of a snapshot: what the snapshot does not stand for is to be delivered
   * again. The server has to show again what is not kept here.
   */
  async restart(covered: Covered): Promise<void> {
    const { log, outbox, positions } = this.#options;
    const known = positions.clients;
    // Of client ids of which the state has nothing, another one remembers that.
    const left = known.filter((one) => !covered.has(one)).flatMap((one) => this.#headsOf(one));
    for (const client of new Set([...known, ...covered.keys()])) {
      const own = outbox.lengthOf(client);
      let position = covered.get(client);
      if (own > 0 && lastOf(position) < own) {
        // What others have created under it, after this device had given it up.
        if (!known.includes(client)) continue;
        position = await outbox.cursorAt(client, own - 1);
      }
      const next = lastOf(position) + 1;
      const isKept = next >= log.first(client) && next <= lastOf(log.end(client)) + 1;
      if (!isKept) {
        const heads = position ? [...this.#headsOf(client, position.index), ...left.splice(0)] : [];
        await this.#forget(client, position && { ...position, heads });
      }
      positions.restart(client, position);
    }
  }

  /** The missing heads that a client id has reported, and what was here of it after an index. */
  #headsOf(client: string, index = -1): MissingHead[] {
    const { clock, positions } = this.#options;
    const last = positions.get(client);
    const heads = [...(last?.heads ?? [])];
    if (last !== undefined && last.index > index) {
      heads.push({ client, index: last.index, tag: last.tag, since: clock.now() });
    }
    return heads;
  }

  /** Delivers the part of a run that the app does not have. */
  async deliver(run: VerifiedRun, cursor: Cursor): Promise<void> {
    const { delivery, positions } = this.#options;
    const { index: last = -1, entries: more = 0 } = positions.delivered(cursor.client) ?? {};
    const fresh = run.operations.filter((one) => one.index > last && !positions.isCopy(one, run));
    // Of what was own before this store was, a part may be delivered of one operation more.
    const entries = entriesOf(fresh).filter((one) => one.index > last + 1 || one.position >= more);
    if (entries.length > 0) await delivery.others(entries, cursor);
  }
}
