/** Receives the operations of other installations: verified in runs, delivered, then recorded. */
import type { Line } from "../protocol/types.ts";
import type { Content } from "./content.ts";
import type { Delivery } from "./delivery.ts";
import { isSnapshot } from "./envelope.ts";
import { StoreDamaged } from "./errors.ts";
import { Heads } from "./heads.ts";
import type { Covered } from "./kept-snapshot.ts";
import type { SyncOptions } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import { Positions } from "./positions.ts";
import type { ReceivedLog } from "./received-log.ts";
import { Refusals } from "./refusals.ts";
import type { OwnClient, StoreState } from "./stores/store.ts";
import type {
  Clock,
  Continues,
  Cursor,
  Head,
  MissingHead,
  OperationName,
  Refusal,
} from "./types.ts";
import { entriesOf, type RunVerifier, type VerifiedRun } from "./verify.ts";
import { versionVector } from "./version-vector.ts";

/**
 * A run is verified and delivered when it ends, or has this many operations or this many characters
 * of payloads. That bounds memory, and what has to be sent again after a cut.
 */
const RUN_OPERATIONS = 1024;
const RUN_CHARACTERS = 1024 * 1024;

/** What an inbox works with. */
export interface InboxOptions {
  readonly log: ReceivedLog;
  readonly outbox: Outbox;
  readonly verifier: RunVerifier;
  readonly clock: Clock;
  readonly delivery: Delivery;
  readonly app: Pick<SyncOptions, "identity" | "onRefusal">;
  /** Whether this client talks to the server, and no other tab does for it. */
  readonly leads: () => boolean;
  /** Gives the app the snapshot that is kept, where it needs that. */
  readonly load: () => Promise<void>;
  /** Takes note of a snapshot among the operations that were received. */
  readonly onSnapshot: (line: Line) => Promise<void>;
  /** Whether the snapshot that is kept stands for an operation. */
  readonly isCovered: (operation: OperationName) => boolean;
  /** Whether the store keeps a snapshot that the app can be given. */
  readonly canLoad: () => boolean;
}

/**
 * The operations of other clients: gathers lines into runs, verifies them, delivers them to the app,
 * and then stores them with the cursor. The operations of one client are delivered in order.
 */
export class Inbox {
  readonly #options: InboxOptions;
  readonly positions: Positions;
  readonly #refusals: Refusals;
  readonly heads: Heads;
  /** Consecutive lines of one client, not verified yet. */
  #run: Line[] = [];
  #characters = 0;
  #taken = 0;
  /** The clients of which the server was asked for nothing. */
  #ignored: readonly string[] = [];

  constructor(options: InboxOptions, cursors: readonly Cursor[]) {
    const { app, clock, outbox } = options;
    this.#options = options;
    this.positions = new Positions(cursors);
    this.#refusals = new Refusals(app, clock, (client) => this.positions.endOf(client));
    this.heads = new Heads({
      positions: this.positions,
      clock,
      expected: app.identity.expected,
      lengthOf: (client) => outbox.lengthOf(client),
      isSuspended: (client) => this.#refusals.isSuspended(client),
      isCovered: options.isCovered,
    });
  }

  /** The number of operations that were valid so far, delivered or not. */
  get taken(): number {
    return this.#taken;
  }

  /** The number of clients whose operations are missing. */
  get refused(): number {
    // What `by` has received of a fork is another history: nothing of this one is missing.
    const missing = this.refusals.filter(({ kind, by }) => kind !== "fork" || by === undefined);
    return new Set(missing.map(({ client }) => client)).size;
  }

  /** The last refusals of each client whose operations are missing. */
  get refusals(): Refusal[] {
    return this.#refusals.all;
  }

  /**
   * For each client id, the last index that the server need not send.
   *
   * @param own the client ids of this installation, whose operations the app has
   * @param checks whether the server has to show once more what is due
   */
  versionVector(own: readonly OwnClient[], checks = false): Record<string, number> {
    this.#ignored = this.#refusals.suspended;
    const due = this.heads.ask(checks);
    return versionVector(this.positions.all, due, this.#ignored, own);
  }

  /**
   * Goes on from the app's positions, instead of from what is stored.
   *
   * @param positions those of all clients of which something was delivered
   * @param isNew whether the store is: then it begins at the positions. If not, it lacks what the app
   *   had when a crash came, and receives that once more
   */
  async startAt(positions: readonly Cursor[], isNew: boolean): Promise<void> {
    const { log, canLoad } = this.#options;
    const wanted = new Map(positions.map((cursor) => [cursor.client, cursor]));
    for (const client of new Set([...this.positions.clients, ...wanted.keys()])) {
      const position = wanted.get(client);
      const end = (this.positions.get(client)?.index ?? -1) + 1;
      const next = (position?.index ?? -1) + 1;
      if (next === end) continue;
      const goesOn = next > end ? !isNew : next >= log.first(client) || canLoad();
      if (goesOn) this.positions.deliver(client, position);
      else await this.#forget(client, position);
    }
    this.heads.begin();
  }

  /** Takes what other tabs have changed in the store. */
  take(state: StoreState): void {
    const { log } = this.#options;
    for (const client of log.take(state)) this.positions.setStored(client, log.end(client));
    // Other things may be kept with the others.
    for (const cursor of log.ends) {
      if (this.positions.get(cursor.client)?.tag === cursor.tag) this.positions.replace(cursor);
    }
  }

  /** Delivers what is stored, and was not delivered. What cannot be read, the server has to send again. */
  async catchUp(): Promise<void> {
    await this.#options.load();
    await this.deliverStored();
  }

  /** The same, without the snapshot before it. */
  async deliverStored(): Promise<void> {
    const { log } = this.#options;
    for (const client of log.damaged) await this.#receiveAgain(client);
    const { behind } = this.positions;
    try {
      for (const client of behind) await this.#catchUp(client);
    } finally {
      await log.recordDelivered(behind.flatMap((client) => this.positions.delivered(client) ?? []));
    }
  }

  /** Returns false if the server has to send what was stored. */
  async #catchUp(client: string): Promise<boolean> {
    if (!this.positions.behind.includes(client)) return true;
    const { log } = this.#options;
    const start = log.start(client)?.index ?? -1;
    if ((this.positions.delivered(client)?.index ?? -1) < start) {
      throw new StoreDamaged(`what comes before operation ${start + 1} of ${client} is not kept`);
    }
    try {
      for await (const run of log.runs(client, this.positions.delivered(client))) {
        if (run.cursor !== undefined) await this.#deliver(run, this.#whole(run.cursor));
        this.positions.deliver(client, run.cursor);
      }
      return true;
    } catch (error) {
      if (!(error instanceof StoreDamaged)) throw error;
      if (log.damaged.has(client)) {
        await this.#receiveAgain(client);
        return false;
      }
    }
    // Another tab has put a snapshot in the place of what was to be read.
    await this.#options.load();
    return this.#catchUp(client);
  }

  /**
   * Has the server send everything of a client again that was stored. It takes the place of that, and
   * is not delivered again.
   */
  async #receiveAgain(client: string): Promise<void> {
    const { log, leads } = this.#options;
    const start = log.start(client);
    // The tab that leads sees by that what it has to ask for.
    if (!leads()) await log.forget(client, start);
    this.positions.setStored(client, start);
    log.damaged.delete(client);
  }

  /** A position with what is stored along with it. */
  #whole(cursor: Cursor): Cursor {
    const stored = this.positions.get(cursor.client);
    return stored?.index === cursor.index ? stored : cursor;
  }

  /** Has the server send the operations of a client again that follow a position. */
  async #forget(client: string, position: Cursor | undefined): Promise<void> {
    await this.#options.log.forget(client, position);
    this.positions.set(client, position);
  }

  /**
   * Records operations as delivered that were created here.
   *
   * @param cursors of client ids now given up
   * @param continued the client ids that own ones continue
   */
  markDelivered(cursors: readonly Cursor[], continued: readonly Continues[]): void {
    this.positions.setCreated(cursors, continued);
    for (const { client } of cursors) this.#refusals.resume(client);
  }

  /**
   * The app was given the state of a snapshot: what that does not stand for is to be delivered again. What
   * is not kept of it, the server has to show once more.
   */
  async restart(covered: Covered): Promise<void> {
    const { log, outbox } = this.#options;
    const known = this.positions.clients;
    // Of client ids of which the state has nothing, another one remembers that.
    const left = known.filter((one) => !covered.has(one)).flatMap((one) => this.#headsOf(one));
    for (const client of new Set([...known, ...covered.keys()])) {
      const own = outbox.lengthOf(client);
      let position = covered.get(client);
      if (own > 0 && (position?.index ?? -1) < own) {
        // What others have created under it, after this device had given it up.
        if (!known.includes(client)) continue;
        position = await outbox.cursorAt(client, own - 1);
      }
      const next = (position?.index ?? -1) + 1;
      const isKept = next >= log.first(client) && next <= (log.end(client)?.index ?? -1) + 1;
      if (!isKept) {
        await this.#forget(
          client,
          position && {
            ...position,
            heads: [...this.#headsOf(client, position.index), ...left.splice(0)],
          },
        );
      }
      this.positions.restart(client, position);
    }
  }

  /** What a client id has told that is missing, and what was here of it behind an index. */
  #headsOf(client: string, index = -1): MissingHead[] {
    const last = this.positions.get(client);
    const heads = [...(last?.heads ?? [])];
    if (last !== undefined && last.index > index) {
      heads.push({ client, index: last.index, tag: last.tag, since: this.#options.clock.now() });
    }
    return heads;
  }

  /** Whether a snapshot names another tag for an operation than this device has, or another one reports. */
  async differs(by: string, covered: Covered): Promise<boolean> {
    const { outbox } = this.#options;
    let differs = false;
    for (const { client, index, tag } of covered.values()) {
      const own = await outbox.tagAt(client, index);
      // What was not acknowledged is no fork: it goes on under another client id.
      differs ||= (own ?? tag) !== tag;
      const known = await this.tagAt(client, index);
      const told = this.heads.expected(client);
      const isTold = told.some((one) => one.index === index && one.tag !== tag);
      if (!isTold && (known ?? tag) === tag) continue;
      differs = true;
      this.#refusals.addFork({ kind: "fork", client, index, by });
    }
    return differs;
  }

  /** Drops the run that an earlier answer left unfinished. */
  discard(): void {
    this.#run = [];
    this.#characters = 0;
  }

  /** Adds lines of an answer, in order. */
  async push(lines: readonly Line[]): Promise<void> {
    for (const line of lines) {
      if (this.#run[0]?.client !== line.client) await this.flush();
      if (this.#refusals.isSuspended(line.client) || this.#isShownAgain(line)) continue;
      this.#run.push(line);
      this.#characters += line.payload.length;
      const full = this.#run.length >= RUN_OPERATIONS || this.#characters >= RUN_CHARACTERS;
      if (full) await this.flush();
    }
  }

  /** Whether a line is the operation that the server was asked to show once more. */
  #isShownAgain({ client, index, payload }: Line): boolean {
    const tag = () => this.#options.verifier.tagOf(payload);
    const isSame = this.heads.isShownAgain(client, index, tag);
    if (isSame) this.#refusals.resume(client, index);
    return isSame;
  }

  /** Verifies and delivers the run so far, if there is one. */
  async flush(): Promise<void> {
    const lines = this.#run;
    const client = lines[0]?.client;
    this.discard();
    if (client === undefined) return;
    if (!(await this.#catchUp(client))) return;
    const before = this.positions.get(client);
    const run = await this.#options.verifier.verify(client, lines, before);
    const { operations, unreadable, refusal } = run;
    const taken = operations.length + unreadable.length;
    for (const one of unreadable) this.#refusals.addUnreadable(one);
    if (taken > 0 && run.cursor !== undefined) {
      const heads = await this.#compare(client, run);
      const heardAt = this.#options.clock.now();
      const cursor = { ...run.cursor, heardAt, ...(heads.length > 0 && { heads }) };
      await this.#deliver(run, cursor);
      // Only now: a crash before this line delivers the operations again, and loses none.
      const valid = lines.slice(0, taken);
      const payloads = valid.map(({ payload }) => payload);
      const isNext = () => this.positions.get(client)?.tag === before?.tag;
      const isStored = await this.#options.log.receive(before, cursor, payloads, isNext);
      if (isStored) this.positions.set(client, cursor);
      else {
        this.positions.deliver(client, cursor);
        await this.#options.log.recordDelivered([cursor]);
      }
      this.#refusals.resume(client);
      for (const line of valid) {
        if (isSnapshot(line.payload)) await this.#options.onSnapshot(line);
      }
    }
    this.#taken += taken;
    if (refusal !== undefined) this.#refusals.suspend(refusal);
  }

  /**
   * Compares the heads in operations, and the heads that name them, with what is here.
   *
   * @returns what they tell that is not here
   */
  async #compare(client: string, { operations, tagOf, cursor }: VerifiedRun): Promise<Head[]> {
    const first = (this.positions.get(client)?.index ?? -1) + 1;
    for (const { index, tag, by } of this.heads.expected(client)) {
      const isHere = index >= first && index <= (cursor?.index ?? -1);
      if (isHere && tagOf(index) !== tag)
        this.#refusals.addFork({ kind: "fork", client, index, by });
    }
    for (const { client: other, index, tag } of operations.flatMap(headsOf)) {
      const known = await this.tagAt(other, index);
      if (known !== undefined && known !== tag) {
        this.#refusals.addFork({ kind: "fork", client: other, index, by: client });
      }
    }
    return this.heads.hear(client, operations);
  }

  /**
   * The tag of an operation that is here, and that the server has acknowledged or sent; `undefined` as
   * well where the store has damaged it.
   */
  async tagAt(client: string, index: number): Promise<string | undefined> {
    const { log, outbox } = this.#options;
    try {
      const own = await outbox.acknowledgedTag(client, index);
      if (own !== undefined) return own;
      const position = this.positions.get(client);
      if (position === undefined || index > position.index) return undefined;
      return index === position.index ? position.tag : await log.tagAt(client, index);
    } catch (error) {
      if (error instanceof StoreDamaged) return undefined;
      throw error;
    }
  }

  async #deliver(run: VerifiedRun, cursor: Cursor): Promise<void> {
    const { index: last = -1, entries: more = 0 } = this.positions.delivered(cursor.client) ?? {};
    const fresh = run.operations.filter(
      (one) => one.index > last && !this.positions.isCopy(one, run),
    );
    // Of what was own before this store was, a part may be delivered of one operation more.
    const entries = entriesOf(fresh).filter((one) => one.index > last + 1 || one.position >= more);
    if (entries.length > 0) await this.#options.delivery.others(entries, cursor);
  }

  /** Ignores a client for a while, and reports why. */
  refuse(refusal: Refusal): void {
    this.#refusals.suspend(refusal);
  }

  /**
   * An answer was whole: reports what it should have brought.
   *
   * @param at when it was asked for
   */
  async endAnswer(at: number): Promise<void> {
    const ignored = new Set([...this.#ignored, ...this.#refusals.suspended]);
    const cursors = this.heads.endAnswer(at);
    for (const cursor of cursors) this.positions.replace(cursor);
    const withheld = this.heads.withheld(at);
    this.#refusals.setWithheld(withheld.filter(({ client }) => !ignored.has(client)));
    for (const cursor of cursors) {
      await this.#options.log.replace(cursor);
      // Another tab may have changed the store meanwhile, from which the old one came back then.
      if (this.positions.get(cursor.client)?.tag === cursor.tag) this.positions.replace(cursor);
    }
  }
}

function headsOf({ content }: { readonly content: Content }): readonly Head[] {
  return content.heads ?? [];
}
