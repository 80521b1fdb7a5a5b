/**
 * What devices tell each other of the newest operations that they have received (ENVELOPE.md, E-3.6
 * to E-3.9), so that a server that shows one of them less than another does not go unnoticed.
 */
import { HEADS_AT_ONCE } from "./content.ts";
import type { Operation } from "./operation.ts";
import { lastOf, type Positions } from "./positions.ts";
import type {
  Clock,
  Cursor,
  Head,
  Identity,
  MissingHead,
  OperationName,
  Refusal,
} from "./types.ts";

/**
 * For how long an operation may be missing that another device has: servers that share a storage
 * need not list what the others have stored for as long as this.
 */
const PATIENCE_MS = 120_000;

/** How often the server has to show once more what it has shown last of each client. */
const CHECK_INTERVAL_MS = 3600_000;

/** So many heads that have come stay in a cursor until its device writes again. */
const MAX_SETTLED = 16;

/** A head, and the device that was the first to name it. */
type Claim = MissingHead & { readonly by: string };

/** What `Heads` has to know of the client. */
export interface HeadsOptions {
  readonly positions: Positions;
  readonly clock: Clock;
  /** What the text of the key says is in it. */
  readonly identity: Pick<Identity, "expected">;
  readonly outbox: {
    /** The number of operations that were created here under a client id. */
    lengthOf(client: string): number;
  };
  readonly refusals: {
    /** Whether the server is not asked for a client now. */
    isSuspended(client: string): boolean;
  };
  readonly kept: {
    /** Whether a snapshot stands for an operation: the server may have deleted it. */
    isCovered(operation: OperationName): boolean;
  };
}

export class Heads {
  readonly #options: HeadsOptions;
  /** The last index of each client that an operation of ours has named. */
  readonly #said = new Map<string, number>();
  /** When the server was last asked to show the operation of a client once more, and has not. */
  readonly #askedAt = new Map<string, number>();
  /** What the text of the key says. */
  readonly #expected: readonly Claim[];
  #checkedAt = 0;
  /** The positions whose operations the server was asked to show once more, and those that it has. */
  #asked: ReadonlyMap<string, Cursor> = new Map();
  readonly #shown = new Set<string>();

  constructor(options: HeadsOptions) {
    this.#options = options;
    const { heads = [], since = 0 } = options.identity.expected ?? {};
    // A clock that was set back would never reach it.
    const known = Math.min(since, options.clock.now());
    this.#expected = heads.map((head) => ({ ...head, since: known, by: "key" }));
    this.begin();
  }

  /** Begins with the positions that there are: what was received before is asked for once more. */
  begin(): void {
    const { positions, clock } = this.#options;
    this.#checkedAt = positions.all.length > 0 ? -Infinity : clock.now();
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
   * Takes the heads that operations of another device name.
   *
   * @returns what of that is not here, or was created here, with what it had named before, to be kept in
   *   its cursor
   */
  hear(client: string, operations: readonly Operation[]): MissingHead[] {
    const { positions, clock } = this.#options;
    const told = operations.flatMap(({ content }) => content.heads ?? []);
    // Most operations name none, and there can be many claims.
    const known = told.length > 0 ? this.#claims() : [];
    const isKnown = (head: Head) =>
      known.some((one) => isFor(head)(one) && one.tag === head.tag && one.index === head.index);
    const since = clock.now();
    const fresh = told
      .filter((head) => !this.#isMissing(head) || !isKnown(head))
      .map((head) => ({ ...head, since }));
    return this.#kept([...(positions.get(client)?.heads ?? []), ...fresh]);
  }

  /** The heads of a client that others have named, and who named them. */
  expected(client: string): Claim[] {
    return this.#claims().filter(isFor({ client }));
  }

  /** All that others have named, and was not here then. */
  #claims(): Claim[] {
    return [
      // First: it is known longer than this client runs.
      ...this.#expected,
      ...this.#options.positions.all.flatMap(({ client: by, heads = [] }) =>
        heads.map((head) => ({ ...head, by })),
      ),
    ];
  }

  /**
   * Which heads are to be kept: of each client, what is missing longest is reported, and then the newest.
   * The newest of an own client id says what the device has seen.
   */
  #kept(heads: readonly MissingHead[]): MissingHead[] {
    const { outbox } = this.#options;
    const missing = heads.filter((head) => this.#isMissing(head));
    const seen = heads.filter(
      (head) => !missing.includes(head) && outbox.lengthOf(head.client) > 0,
    );
    return [
      ...seen.filter((head) => seen.findLast(isFor(head)) === head),
      ...missing.filter((head) => {
        return missing.find(isFor(head)) === head || missing.findLast(isFor(head)) === head;
      }),
    ];
  }

  /** The positions whose operations the server has to show once more now. */
  get due(): Cursor[] {
    const { positions, clock, refusals, kept } = this.#options;
    const now = clock.now();
    const isTime = now - this.#checkedAt >= CHECK_INTERVAL_MS;
    return positions.all.filter((position) => {
      if (kept.isCovered(position)) return false;
      const { client, hiddenSince } = position;
      const askedAt = hiddenSince === undefined ? now : (this.#askedAt.get(client) ?? now);
      return (isTime || now - askedAt >= PATIENCE_MS) && !refusals.isSuspended(client);
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
   * A whole answer has come. Returns the positions with which other things are to be kept, and these.
   *
   * @param at when it was asked for
   */
  endAnswer(at: number): Cursor[] {
    if (this.#asked.size > 0 && at - this.#checkedAt >= CHECK_INTERVAL_MS) this.#checkedAt = at;
    return this.#options.positions.all.flatMap(({ heads = [], hiddenSince, ...position }) => {
      const { client, index } = position;
      // A server need not show what a snapshot stands for.
      const isCovered = this.#options.kept.isCovered(position);
      let since = isCovered ? undefined : hiddenSince;
      // What follows an operation proves it.
      if (!isCovered && this.#asked.get(client)?.index === index) {
        since = this.#shown.has(client) ? undefined : Math.min(since ?? at, at);
        this.#askedAt.set(client, at);
      }
      const kept = this.#kept(heads);
      // A clock that was set back would never reach it.
      const isAhead = kept.some((head) => (head.since ?? Infinity) > at);
      const isSettled = heads.length - kept.length >= MAX_SETTLED;
      if (since === hiddenSince && !isAhead && !isSettled) return [];
      return {
        ...position,
        heads: kept.map((head) => ({ ...head, since: Math.min(head.since ?? at, at) })),
        ...(since !== undefined && { hiddenSince: since }),
      };
    });
  }

  /**
   * The operations that the server should have shown by now, and has not.
   *
   * @param at when the last answer was asked for
   */
  withheld(at: number): Refusal[] {
    const found = new Map<string, Refusal>();
    for (const { client, index, hiddenSince = Infinity } of this.#options.positions.all) {
      const askedAt = this.#askedAt.get(client) ?? 0;
      if (askedAt - hiddenSince >= PATIENCE_MS)
        found.set(client, { kind: "withheld", client, index });
    }
    const claims = this.#claims().filter((one) => this.#isMissing(one));
    claims.sort((one, other) => (one.since ?? at) - (other.since ?? at));
    for (const { client, index, by, since = at } of claims) {
      // What was asked for at once, a server may not have listed yet.
      const isLate = at - since >= PATIENCE_MS;
      if (isLate && found.get(client)?.by === undefined) {
        // What this device has had itself, no other one has named.
        found.set(client, { kind: "withheld", client, index, ...(by !== client && { by }) });
      }
    }
    return [...found.values()];
  }

  #isMissing({ client, index }: Pick<Head, "client" | "index">): boolean {
    const { positions, outbox } = this.#options;
    const known = lastOf(positions.get(client));
    return index > known && index >= outbox.lengthOf(client) && index < positions.endOf(client);
  }
}

/** Whether something is for the same client. */
function isFor({ client }: Pick<Head, "client">): (other: Pick<Head, "client">) => boolean {
  return (other) => other.client === client;
}
