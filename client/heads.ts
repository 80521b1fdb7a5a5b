/**
 * What devices tell each other of the newest operations that they have received (ENVELOPE.md, E-3.6
 * to E-3.9), so that a server that shows one of them less than another does not go unnoticed.
 */
import { HEADS_AT_ONCE } from "./content.ts";
import type { Positions } from "./positions.ts";
import type { Clock, Cursor, Head, Refusal } from "./types.ts";
import type { Operation } from "./verify.ts";

/**
 * For how long an operation may be missing that another device has: servers that share a storage
 * need not list what the others have stored for as long as this.
 */
const PATIENCE_MS = 120_000;

/** How often the server has to show once more what it has shown last of each client. */
const CHECK_INTERVAL_MS = 3600_000;

/** An operation that another device has, and since when that is known. */
interface Told {
  readonly index: number;
  /** The device that has it. */
  readonly by: string;
  readonly since: number;
}

/** What was told first of an operation, and by which device. */
type Expected = Head & { readonly by: string };

/** An operation that the server has not shown again: when it was asked for it first, and last. */
interface Hidden {
  readonly index: number;
  readonly since: number;
  readonly askedAt: number;
}

/** What `Heads` has to know of the client. */
export interface HeadsOptions {
  readonly positions: Positions;
  readonly clock: Clock;
  /** The number of operations that were created here under a client id. */
  readonly lengthOf: (client: string) => number;
  /** Whether the server is not asked for a client now. */
  readonly isSuspended: (client: string) => boolean;
}

export class Heads {
  readonly #options: HeadsOptions;
  /** The last index of each client that an operation of ours has told. */
  readonly #said = new Map<string, number>();
  /** What others have told, and is not here: of each client, what is missing longest, and the newest. */
  readonly #told = new Map<string, { readonly oldest: Told; readonly newest: Told }>();
  /** The operations of each client that others have named and that are missing here. */
  readonly #expected = new Map<string, Expected[]>();
  readonly #hidden = new Map<string, Hidden>();
  #checkedAt = 0;
  /** The positions whose operations the server was asked to show once more, and those that it has. */
  #asked: ReadonlyMap<string, Cursor> = new Map();
  readonly #shown = new Set<string>();

  constructor(options: HeadsOptions) {
    this.#options = options;
    this.begin();
  }

  /** Begins with the positions that there are: what was received before is asked for once more. */
  begin(): void {
    const { positions, clock } = this.#options;
    this.#checkedAt = positions.all.length > 0 ? -Infinity : clock.now();
    for (const { client, heads = [] } of positions.all) this.#note(client, heads);
  }

  /** What the next operation has to tell. */
  unsaid(): Head[] {
    return this.#options.positions.all
      .filter(({ client, index }) => index > (this.#said.get(client) ?? -1))
      .slice(0, HEADS_AT_ONCE)
      .map(({ client, index, tag }) => ({ client, index, tag }));
  }

  /** An operation with these heads is durable. */
  said(heads: readonly Head[]): void {
    for (const { client, index } of heads) this.#said.set(client, index);
  }

  /**
   * Takes what operations of another device tell.
   *
   * @returns what of that is not here, with what it had told before, to be kept in its cursor
   */
  hear(client: string, operations: readonly Operation[]): Head[] {
    const told = operations.flatMap(({ content }) => content.heads ?? []);
    const before = this.#options.positions.get(client)?.heads ?? [];
    const newest = new Map<string, Head>();
    for (const head of [...before, ...told]) {
      if (head.index >= (newest.get(head.client)?.index ?? 0)) newest.set(head.client, head);
    }
    const missing = [...newest.values()].filter((head) => this.#isMissing(head));
    this.#note(client, missing);
    return missing;
  }

  /** The heads of a client that others have named, and who named them. */
  expected(client: string): readonly Expected[] {
    return this.#expected.get(client) ?? [];
  }

  /** The positions whose operations the server has to show once more now. */
  get due(): Cursor[] {
    const { positions, clock, isSuspended } = this.#options;
    const now = clock.now();
    const isTime = now - this.#checkedAt >= CHECK_INTERVAL_MS;
    return positions.all.filter(({ client }) => {
      const { askedAt = now } = this.#hidden.get(client) ?? {};
      return (isTime || now - askedAt >= PATIENCE_MS) && !isSuspended(client);
    });
  }

  /** The server is asked: returns the positions whose operations it has to show once more. */
  ask(checks: boolean): Cursor[] {
    const due = checks ? this.due : [];
    this.#asked = new Map(due.map((cursor) => [cursor.client, cursor]));
    this.#shown.clear();
    return due;
  }

  /** Whether an operation is one that the server was asked to show once more. */
  isShownAgain(client: string, index: number, tag: () => string | undefined): boolean {
    const asked = this.#asked.get(client);
    if (asked?.index !== index || tag() !== asked.tag) return false;
    this.#shown.add(client);
    return true;
  }

  /**
   * A whole answer has come. Returns the operations that it should have brought, and did not.
   *
   * @param at when it was asked for
   */
  endAnswer(at: number): Refusal[] {
    if (this.#asked.size > 0 && at - this.#checkedAt >= CHECK_INTERVAL_MS) this.#checkedAt = at;
    for (const { client, index } of this.#asked.values()) {
      const { since = at } = this.#hidden.get(client) ?? {};
      if (this.#shown.has(client)) this.#hidden.delete(client);
      else this.#hidden.set(client, { index, since, askedAt: at });
    }
    for (const [client, { index }] of this.#hidden) {
      // What follows an operation proves it.
      if (this.#options.positions.get(client)?.index !== index) this.#hidden.delete(client);
    }
    for (const [client, { oldest, newest }] of this.#told) {
      if (this.#isMissing({ client, index: oldest.index })) continue;
      if (this.#isMissing({ client, index: newest.index })) {
        this.#told.set(client, { oldest: newest, newest });
      } else {
        this.#told.delete(client);
        this.#expected.delete(client);
      }
    }
    return this.#withheld(at);
  }

  #withheld(at: number): Refusal[] {
    const found = new Map<string, Refusal>();
    for (const [client, { index, since, askedAt }] of this.#hidden) {
      if (askedAt - since >= PATIENCE_MS) found.set(client, { kind: "withheld", client, index });
    }
    for (const [client, { oldest }] of this.#told) {
      const { index, by, since } = oldest;
      // What was asked for at once, a server may not have listed yet.
      if (at - since >= PATIENCE_MS) found.set(client, { kind: "withheld", client, index, by });
    }
    return [...found.values()];
  }

  #isMissing({ client, index }: Pick<Head, "client" | "index">): boolean {
    const { positions, lengthOf } = this.#options;
    const known = positions.get(client)?.index ?? -1;
    return index > known && index >= lengthOf(client) && index < positions.endOf(client);
  }

  #note(by: string, heads: readonly Head[]): void {
    for (const head of heads) {
      const { client, index, tag } = head;
      const expected = this.#expected.get(client) ?? [];
      const isKnown = expected.some((one) => one.index === index && one.tag === tag);
      if (!isKnown) this.#expected.set(client, [...expected, { ...head, by }]);
      const known = this.#told.get(client);
      if (known !== undefined && known.newest.index >= index) continue;
      const newest = { index, by, since: this.#options.clock.now() };
      this.#told.set(client, { oldest: known?.oldest ?? newest, newest });
    }
  }
}
