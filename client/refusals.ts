import type { Clock, Refusal } from "./types.ts";

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

/** What refusals work with. */
export interface RefusalsOptions {
  readonly app: { readonly onRefusal?: (refusal: Refusal) => void };
  readonly clock: Clock;
  readonly positions: {
    /** The index from which on another client id continues one; `Infinity` if none does. */
    endOf(client: string): number;
  };
}

/** What is missing or wrong, as the app sees it: one refusal for each client id and cause. */
export class Refusals {
  readonly #options: RefusalsOptions;
  /** Clients of which operations were refused, and are asked for again. */
  readonly #suspended = new Map<string, Suspension>();
  /** The last operation of each client whose content is malformed. */
  readonly #unreadable = new Map<string, Refusal>();
  /** Operations that other devices have, and that the server does not show, or shows another of. */
  readonly #withheld = new Map<string, Refusal>();
  readonly #forks = new Map<string, Refusal>();

  constructor(options: RefusalsOptions) {
    this.#options = options;
  }

  /** Those that concern the app. */
  get all(): Refusal[] {
    const suspended = [...this.#suspended.values()].map(({ refusal }) => refusal);
    return [
      ...suspended.filter((one) => !this.#isReplaced(one)),
      ...this.#unreadable.values(),
      ...this.#forks.values(),
      ...this.#withheld.values(),
    ];
  }

  /** The number of clients whose operations are missing. */
  get missing(): number {
    // What `by` has received of a fork is another history: nothing of this one is missing.
    const missing = this.all.filter(({ kind, by }) => kind !== "fork" || by === undefined);
    return new Set(missing.map(({ client }) => client)).size;
  }

  /** The clients that are not asked for now. */
  get suspended(): string[] {
    return [...this.#suspended.keys()].filter((client) => this.isSuspended(client));
  }

  isSuspended(client: string): boolean {
    const suspended = this.#suspended.get(client);
    return suspended !== undefined && this.#options.clock.now() < suspended.until;
  }

  /** Ignores a client for a while, and reports why. */
  suspend(refusal: Refusal): void {
    const { client } = refusal;
    const before = this.#suspended.get(client)?.milliseconds ?? MIN_SUSPENSION_MS / 2;
    const milliseconds = Math.min(before * 2, MAX_SUSPENSION_MS);
    if (this.#suspended.size < MAX_SUSPENDED || this.#suspended.has(client)) {
      const until = this.#options.clock.now() + milliseconds;
      this.#suspended.set(client, { refusal, milliseconds, until });
    }
    if (!this.#isReplaced(refusal)) this.#options.app.onRefusal?.(refusal);
  }

  /** Operations of a client are valid again, up to an index. */
  resume(client: string, index = Infinity): void {
    const suspended = this.#suspended.get(client);
    if (suspended !== undefined && suspended.refusal.index <= index) this.#suspended.delete(client);
  }

  /** Reports an operation that is left out for good. */
  addUnreadable(refusal: Refusal): void {
    this.#unreadable.set(refusal.client, refusal);
    this.#options.app.onRefusal?.(refusal);
  }

  /** Reports once for each client that devices are shown different operations in one place. */
  addFork(refusal: Refusal): void {
    if (this.#forks.has(refusal.client)) return;
    this.#forks.set(refusal.client, refusal);
    this.#options.app.onRefusal?.(refusal);
  }

  /** Sets which operations are withheld, and reports those that were not. */
  setWithheld(refusals: readonly Refusal[]): void {
    const known = new Map(this.#withheld);
    this.#withheld.clear();
    for (const one of refusals) {
      this.#withheld.set(one.client, one);
      if (!known.has(one.client)) this.#options.app.onRefusal?.(one);
    }
  }

  /**
   * Whether a refusal no longer matters: because of what the server has in the place of the operation,
   * its client has moved it to a new client id.
   */
  #isReplaced({ kind, client, index }: Refusal): boolean {
    if (kind === "fork" || kind === "chain broken") return false;
    return index >= this.#options.positions.endOf(client);
  }
}
