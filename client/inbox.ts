/** Receives the operations of other installations: verified in runs, delivered, then recorded. */
import type { Line } from "../protocol/types.ts";
import type { CatchUp } from "./catch-up.ts";
import type { Comparison } from "./comparison.ts";
import { isSnapshot } from "./envelope.ts";
import type { Heads } from "./heads.ts";
import { lastOf, type Positions } from "./positions.ts";
import type { ReceivedLog } from "./received-log.ts";
import type { Refusals } from "./refusals.ts";
import type { OwnClient } from "./stores/store.ts";
import type { Clock } from "./types.ts";
import type { RunVerifier } from "./verify.ts";
import { versionVector } from "./version-vector.ts";

/**
 * A run is verified and delivered when it ends, or has this many operations or this many characters
 * of payloads. That bounds memory, and what has to be sent again after a cut.
 */
const RUN_OPERATIONS = 1024;
const RUN_CHARACTERS = 1024 * 1024;

/** What an inbox works with. */
export interface InboxOptions {
  readonly positions: Positions;
  readonly refusals: Refusals;
  readonly heads: Heads;
  readonly log: ReceivedLog;
  readonly verifier: RunVerifier;
  readonly clock: Clock;
  readonly comparison: Comparison;
  readonly catchUp: CatchUp;
  readonly snapshots: {
    /** Takes note of a snapshot among the operations that were received. */
    note(line: Line): Promise<void>;
  };
}

/**
 * The operations of other clients: gathers lines into runs, verifies them, delivers them to the app,
 * and then stores them with the cursor. The operations of one client are delivered in order.
 */
export class Inbox {
  readonly #options: InboxOptions;
  /** Consecutive lines of one client, not verified yet. */
  #run: Line[] = [];
  #characters = 0;
  /** The number of operations that were valid so far, delivered or not. */
  taken = 0;
  /** The clients of which the server was asked for nothing. */
  #ignored: readonly string[] = [];
  /** The last index of each client after which the answer goes on. */
  #asked = new Map<string, number>();
  /** Whether something of the answer was neither taken nor refused: the server is to be asked again. */
  hasLeft = false;

  constructor(options: InboxOptions) {
    this.#options = options;
  }

  /**
   * For each client id, the last index that the server need not send.
   *
   * @param own the client ids of this installation, whose operations the app has
   * @param checks whether the server has to show once more what is due
   */
  versionVector(own: readonly OwnClient[], checks = false): Record<string, number> {
    const { heads, positions, refusals } = this.#options;
    this.#ignored = refusals.suspended;
    this.#asked = positions.lasts;
    this.hasLeft = false;
    return versionVector(positions.all, heads.ask(checks), this.#ignored, own);
  }

  /** Drops the run that an earlier answer left unfinished. */
  discard(): void {
    this.#run = [];
    this.#characters = 0;
  }

  /** Adds lines of an answer, in order. */
  async push(lines: readonly Line[]): Promise<void> {
    const { refusals } = this.#options;
    for (const line of lines) {
      if (this.#run[0]?.client !== line.client) await this.flush();
      if (refusals.isSuspended(line.client) || this.#isShownAgain(line)) continue;
      this.#run.push(line);
      this.#characters += line.payload.length;
      const full = this.#run.length >= RUN_OPERATIONS || this.#characters >= RUN_CHARACTERS;
      if (full) await this.flush();
    }
  }

  /** Whether a line is the operation that the server was asked to show once more. */
  #isShownAgain({ client, index, payload }: Line): boolean {
    const { heads, refusals, verifier } = this.#options;
    const isSame = heads.isShownAgain(client, index, () => verifier.tagOf(payload));
    if (isSame) refusals.resume(client, index);
    return isSame;
  }

  /** Verifies and delivers the run so far, if there is one. */
  async flush(): Promise<void> {
    const { catchUp, clock, comparison, log, positions, refusals, snapshots, verifier } =
      this.#options;
    const lines = this.#run;
    const client = lines[0]?.client;
    this.discard();
    if (client === undefined) return;
    if (!(await catchUp.deliverStoredOf(client))) return;
    const before = positions.get(client);
    // Another tab may have changed meanwhile what is kept, and with it what is to be asked for.
    const isAsAsked = lastOf(before) === (this.#asked.get(client) ?? -1);
    const run = await verifier.verify(client, lines, before);
    const { operations, unreadable, refusal } = run;
    const taken = operations.length + unreadable.length;
    for (const one of unreadable) refusals.addUnreadable(one);
    if (taken > 0 && run.cursor !== undefined) {
      const heads = await comparison.compare(client, run);
      const heardAt = clock.now();
      const cursor = { ...run.cursor, heardAt, ...(heads.length > 0 && { heads }) };
      await catchUp.deliver(run, cursor);
      // Only now: a crash before this line delivers the operations again, and loses none.
      const valid = lines.slice(0, taken);
      const payloads = valid.map(({ payload }) => payload);
      const isNext = () => positions.get(client)?.tag === before?.tag;
      const isStored = await log.receive(before, cursor, payloads, isNext);
      if (isStored) positions.set(client, cursor);
      else {
        positions.deliver(client, cursor);
        await log.recordDelivered([cursor]);
      }
      refusals.resume(client);
      for (const line of valid) if (isSnapshot(line.payload)) await snapshots.note(line);
    }
    this.taken += taken;
    this.#asked.set(client, lastOf(run.cursor));
    if (refusal === undefined) return;
    if (isAsAsked) refusals.suspend(refusal);
    else this.hasLeft = true;
  }

  /**
   * An answer was whole: reports what it should have brought.
   *
   * @param at when it was asked for
   */
  async endAnswer(at: number): Promise<void> {
    const { heads, log, positions, refusals } = this.#options;
    const ignored = new Set([...this.#ignored, ...refusals.suspended]);
    const cursors = heads.endAnswer(at);
    for (const cursor of cursors) positions.replace(cursor);
    const withheld = heads.withheld(at);
    refusals.setWithheld(withheld.filter(({ client }) => !ignored.has(client)));
    for (const cursor of cursors) {
      await log.replace(cursor);
      // Another tab may have changed the store meanwhile, from which the old one came back then.
      if (positions.get(cursor.client)?.tag === cursor.tag) positions.replace(cursor);
    }
  }
}
