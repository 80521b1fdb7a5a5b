import { isAt } from "./continues.ts";
import type { Continues, Cursor, OperationName } from "./types.ts";

/** The last index up to a position; −1 for the beginning. */
export function lastOf(position: Pick<Cursor, "index"> | undefined): number {
  return position?.index ?? -1;
}

/** What tells whether operations of a run are copies; see `VerifiedRun`. */
interface TaggedRun {
  readonly cursor: Cursor | undefined;
  readonly tagOf: (index: number) => string;
}

/** How far the operations of each client id are stored and delivered, and which are copies of others. */
export class Positions {
  /** The position after what is stored. */
  readonly #cursors: Map<string, Cursor>;
  /** The last position delivered of client ids of which more is stored; `undefined` for the beginning. */
  readonly #behind = new Map<string, Cursor | undefined>();
  /** The last positions of own client ids that were given up. */
  #created = new Map<string, Cursor>();
  /** The last position delivered of client ids of which less is stored. */
  readonly #ahead = new Map<string, Cursor>();
  /** Which client ids say that they continue another one. */
  readonly #continuers = new Map<string, Set<string>>();
  /** The client ids that own ones continue. */
  #own: readonly Continues[] = [];

  constructor(cursors: readonly Cursor[]) {
    this.#cursors = new Map(cursors.map((cursor) => [cursor.client, cursor]));
    for (const cursor of cursors) this.#noteContinues(cursor);
  }

  /** The positions after what is stored. */
  get all(): Cursor[] {
    return [...this.#cursors.values()];
  }

  /** The positions after what was delivered. */
  get allDelivered(): Cursor[] {
    return this.clients.flatMap((client) => this.delivered(client) ?? []);
  }

  /** The client ids of which something is stored or delivered. */
  get clients(): string[] {
    return [...new Set([...this.#cursors.keys(), ...this.#ahead.keys()])];
  }

  /** The client ids of which more is stored than delivered. */
  get behind(): string[] {
    return [...this.#behind.keys()];
  }

  /** The last index of each client id that is stored, or was created here. */
  get lasts(): Map<string, number> {
    const all = [...this.#created, ...this.#cursors];
    return new Map(all.map(([client, { index }]) => [client, index]));
  }

  /** Whether everything that is stored was delivered, and nothing else. */
  get isEven(): boolean {
    return this.clients.every((one) => this.delivered(one)?.index === this.get(one)?.index);
  }

  /** The position after what is stored of a client id, or was created under it. */
  get(client: string): Cursor | undefined {
    return this.#cursors.get(client) ?? this.#created.get(client);
  }

  /** Everything up to a position is stored and delivered; nothing of the client id without one. */
  set(client: string, position: Cursor | undefined): void {
    this.#behind.delete(client);
    if (position === undefined) this.#cursors.delete(client);
    else {
      this.#cursors.set(client, position);
      this.#noteContinues(position);
    }
  }

  /** Other things are kept with the position after what is stored. */
  replace(cursor: Cursor): void {
    this.#cursors.set(cursor.client, cursor);
  }

  /** Something else is stored than before, and nothing else delivered. */
  setStored(client: string, stored: Cursor | undefined): void {
    const delivered = this.delivered(client);
    this.set(client, stored);
    this.deliver(client, delivered);
  }

  /**
   * Everything up to a position is delivered, whether more or less is stored. If less is, what is stored
   * from now on is delivered up to it.
   */
  deliver(client: string, delivered: Cursor | undefined): void {
    const [last, end] = [lastOf(delivered), lastOf(this.#cursors.get(client))];
    this.#behind.delete(client);
    if (last < end) this.#behind.set(client, delivered);
    else if (delivered !== undefined && last > end) this.#ahead.set(client, delivered);
  }

  /** The app was given a state: what is stored behind a position is to be delivered to it again. */
  restart(client: string, delivered: Cursor | undefined): void {
    this.#ahead.delete(client);
    this.deliver(client, delivered);
  }

  /** The last position delivered of a client id. */
  delivered(client: string): Cursor | undefined {
    if (this.#behind.has(client)) return this.#behind.get(client);
    const [ahead, stored] = [this.#ahead.get(client), this.get(client)];
    return lastOf(ahead) > lastOf(stored) ? ahead : stored;
  }

  /**
   * What was created here.
   *
   * @param cursors the last positions of client ids now given up
   * @param continued the client ids that own ones continue
   */
  setCreated(cursors: readonly Cursor[], continued: readonly Continues[]): void {
    this.#created = new Map(cursors.map((cursor) => [cursor.client, cursor]));
    this.#own = continued;
    for (const { client, index } of cursors) {
      if (index > lastOf(this.#cursors.get(client))) this.set(client, undefined);
    }
  }

  /** Whether an operation was delivered before, under another client id. */
  isCopy({ client, index }: OperationName, { cursor, tagOf }: TaggedRun): boolean {
    for (const one of cursor?.continues ?? []) {
      const old = this.delivered(one.client);
      const at = old === undefined ? -1 : old.index - one.index;
      // Each tag covers the one before it: one that agrees vouches for all of them.
      if (old !== undefined && at >= index && isAt(one, at, old.tag)) return true;
    }
    for (const [one, last] of this.#continuing(client)) {
      const at = index - one.index;
      if (at <= last && isAt(one, at, tagOf(index))) return true;
    }
    return false;
  }

  /** The first index from which on another client id continues one; `Infinity` if none does. */
  endOf(client: string): number {
    return Math.min(...[...this.#continuing(client)].map(([one]) => one.index));
  }

  #noteContinues({ client, continues = [] }: Cursor): void {
    for (const one of continues) {
      const known = this.#continuers.get(one.client) ?? new Set();
      this.#continuers.set(one.client, known.add(client));
    }
  }

  /** What client ids say that continue this one, with the last index delivered of each. */
  *#continuing(client: string): Generator<readonly [Continues, number]> {
    for (const one of this.#own) if (one.client === client) yield [one, Infinity];
    for (const other of this.#continuers.get(client) ?? []) {
      const continues = this.#cursors.get(other)?.continues ?? [];
      const delivered = lastOf(this.delivered(other));
      for (const one of continues) if (one.client === client) yield [one, delivered];
    }
  }
}
