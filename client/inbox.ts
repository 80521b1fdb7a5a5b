/** Receives the operations of other installations: verified in runs, delivered, then recorded. */
import { MAX_INDEX } from "../protocol/ids.ts";
import type { Line } from "../protocol/types.ts";
import type { SyncOptions } from "./options.ts";
import type { OwnClient, Store } from "./stores/store.ts";
import type { Clock, Continues, Cursor, Operation, Refusal } from "./types.ts";
import { type RunVerifier, SHORT_TAG, type VerifiedRun } from "./verify.ts";

/**
 * A run is verified and delivered when it ends, or has this many operations or this many characters
 * of payloads. That bounds memory, and what has to be sent again after a cut.
 */
const RUN_OPERATIONS = 256;
const RUN_CHARACTERS = 1024 * 1024;

/** An index that no client passes: the server sends nothing of a client that is known this far. */
const ALL = MAX_INDEX;

/** How long a client with refused operations is not asked for: doubles each time. */
const MIN_SUSPENSION_MS = 60_000;
const MAX_SUSPENSION_MS = 3600_000;

/** A server can make up any number of clients. */
const MAX_SUSPENDED = 10_000;

interface Suspension {
  readonly refusal: Refusal;
  readonly milliseconds: number;
  readonly until: number;
}

/** What an inbox works with. */
export interface InboxOptions {
  readonly store: Store;
  readonly verifier: RunVerifier;
  readonly clock: Clock;
  readonly app: Pick<SyncOptions, "receive" | "onRefusal">;
}

/**
 * The operations of other clients: gathers lines into runs, verifies them, delivers them to the app,
 * and then stores the cursor. The operations of one client are delivered in order.
 */
export class Inbox {
  readonly #options: InboxOptions;
  readonly #cursors: Map<string, Cursor>;
  /** The client ids that own ones continue. */
  #own: readonly Continues[] = [];
  /** Clients of which operations were refused. */
  readonly #suspended = new Map<string, Suspension>();
  /** The last operation of each client that does not decrypt. */
  readonly #unreadable = new Map<string, Refusal>();
  /** Consecutive lines of one client, not verified yet. */
  #run: Line[] = [];
  #characters = 0;
  #taken = 0;

  constructor(options: InboxOptions, cursors: readonly Cursor[]) {
    this.#options = options;
    this.#cursors = new Map(cursors.map((cursor) => [cursor.client, cursor]));
  }

  /** The number of operations that were valid so far, delivered or not. */
  get taken(): number {
    return this.#taken;
  }

  /** The number of clients whose operations are missing. */
  get refused(): number {
    return new Set(this.refusals.map(({ client }) => client)).size;
  }

  /** The last refusal of each client whose operations are missing. */
  get refusals(): Refusal[] {
    const suspended = [...this.#suspended.values()].map(({ refusal }) => refusal);
    return [...suspended.filter((one) => !this.#isReplaced(one)), ...this.#unreadable.values()];
  }

  /**
   * For each client id, the last index that the server need not send.
   *
   * @param own the client ids of this installation, whose operations the app has
   */
  versionVector(own: readonly OwnClient[]): Record<string, number> {
    const vector: Record<string, number> = {};
    for (const { client, index } of this.#cursors.values()) vector[client] = index;
    for (const client of this.#suspended.keys())
      if (this.#isSuspended(client)) vector[client] = ALL;
    for (const { client, length } of own) {
      if (length > 0) vector[client] = Math.max(length - 1, vector[client] ?? 0);
    }
    return vector;
  }

  /**
   * Records operations as delivered that were created here.
   *
   * @param cursors of client ids now given up
   * @param continued the client ids that own ones continue
   */
  markDelivered(cursors: readonly Cursor[], continued: readonly Continues[]): void {
    this.#own = continued;
    for (const cursor of cursors) {
      const known = this.#cursors.get(cursor.client)?.index ?? -1;
      if (cursor.index > known) this.#cursors.set(cursor.client, cursor);
      this.#suspended.delete(cursor.client);
    }
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
      if (this.#isSuspended(line.client)) continue;
      this.#run.push(line);
      this.#characters += line.payload.length;
      const full = this.#run.length >= RUN_OPERATIONS || this.#characters >= RUN_CHARACTERS;
      if (full) await this.flush();
    }
  }

  /** Verifies and delivers the run so far, if there is one. */
  async flush(): Promise<void> {
    const lines = this.#run;
    const client = lines[0]?.client;
    this.discard();
    if (client === undefined) return;
    const run = await this.#options.verifier.verify(client, lines, this.#cursors.get(client));
    const { operations, unreadable, cursor, refusal } = run;
    const taken = operations.length + unreadable.length;
    for (const one of unreadable) {
      this.#unreadable.set(client, one);
      this.#options.app.onRefusal?.(one);
    }
    if (taken > 0 && cursor !== undefined) {
      const fresh = operations.filter((one) => !this.#isCopy(one, run));
      if (fresh.length > 0) await this.#options.app.receive(fresh, cursor);
      // Only now: a crash before this line delivers the operations again, and loses none.
      await this.#options.store.advance(cursor);
      this.#cursors.set(client, cursor);
      this.#suspended.delete(client);
    }
    this.#taken += taken;
    if (refusal !== undefined) this.refuse(refusal);
  }

  /** Ignores a client for a while, and reports why. */
  refuse(refusal: Refusal): void {
    const { client } = refusal;
    const before = this.#suspended.get(client)?.milliseconds ?? MIN_SUSPENSION_MS / 2;
    const milliseconds = Math.min(before * 2, MAX_SUSPENSION_MS);
    if (this.#suspended.size < MAX_SUSPENDED || this.#suspended.has(client)) {
      const until = this.#options.clock.now() + milliseconds;
      this.#suspended.set(client, { refusal, milliseconds, until });
    }
    if (!this.#isReplaced(refusal)) this.#options.app.onRefusal?.(refusal);
  }

  /** What client ids say that continue this one, with the last index delivered of each. */
  *#continuing(client: string): Generator<readonly [Continues, number]> {
    for (const one of this.#own) if (one.client === client) yield [one, ALL];
    for (const { continues = [], index } of this.#cursors.values()) {
      for (const one of continues) if (one.client === client) yield [one, index];
    }
  }

  /** Whether an operation was delivered before, under another client id. */
  #isCopy({ client, index }: Operation, { cursor, tagOf }: VerifiedRun): boolean {
    for (const one of cursor?.continues ?? []) {
      const old = this.#cursors.get(one.client);
      const at = old === undefined ? -1 : old.index - one.index;
      // Each tag covers the one before it: one that agrees vouches for all of them.
      if (old !== undefined && at >= index && isAt(one, at, old.tag)) return true;
    }
    for (const [one, delivered] of this.#continuing(client)) {
      const at = index - one.index;
      if (at <= delivered && isAt(one, at, tagOf(index))) return true;
    }
    return false;
  }

  /**
   * Whether a refusal no longer matters: because of what the server has in the place of the operation,
   * its client has moved it to a new client id.
   */
  #isReplaced({ kind, client, index }: Refusal): boolean {
    if (kind === "fork" || kind === "chain broken") return false;
    return [...this.#continuing(client)].some(([one]) => index >= one.index);
  }

  #isSuspended(client: string): boolean {
    const suspended = this.#suspended.get(client);
    return suspended !== undefined && this.#options.clock.now() < suspended.until;
  }
}

/** Whether the operation `i` of a client id is a copy of the one with a tag. */
function isAt({ tags }: Continues, i: number, tag: string): boolean {
  const at = i * SHORT_TAG;
  return at >= 0 && at < tags.length && tag.startsWith(tags.slice(at, at + SHORT_TAG));
}
