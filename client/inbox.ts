/**
 * The operations that others create: gathered into runs, checked, delivered, and only then counted
 * as taken.
 */

import type { Line } from "../protocol/types.ts";
import type { Store } from "./stores/store.ts";
import type { Clock, Cursor, Receive, Refusal } from "./types.ts";
import type { Opened, RunVerifier } from "./verify.ts";

/**
 * A run is checked and delivered when it has this many operations, or this many characters of
 * payloads, or ends: memory is bounded, and so is what a cut undoes.
 */
const RUN_OPERATIONS = 256;
const RUN_CHARACTERS = 1024 * 1024;

/** An index above all: the server sends nothing of a client that the sender knows this far. */
const ALL = Number.MAX_SAFE_INTEGER;

/** How long nothing is asked of a client whose operations were refused: doubled each time. */
const FIRST_PAUSE_MS = 60_000;
const LONGEST_PAUSE_MS = 3600_000;

/** Clients that are remembered as refused; a server can make up any number of them. */
const MAX_REFUSED = 10_000;

interface Paused {
  readonly refusal: Refusal;
  readonly pause: number;
  readonly until: number;
}

export interface InboxOptions {
  readonly store: Store;
  readonly opener: RunVerifier;
  readonly receive: Receive;
  readonly clock: Clock;
  /** Told when operations are refused, once for each time the server was asked for them. */
  readonly onRefusal: (refusal: Refusal) => void;
}

export class Inbox {
  readonly #options: InboxOptions;
  readonly #cursors: Map<string, Cursor>;
  readonly #paused = new Map<string, Paused>();
  #run: Line[] = [];
  #characters = 0;

  constructor(options: InboxOptions, cursors: readonly Cursor[]) {
    this.#options = options;
    this.#cursors = new Map(cursors.map((cursor) => [cursor.client, cursor]));
  }

  /** What stands refused now. */
  get refusals(): Refusal[] {
    return [...this.#paused.values()].map(({ refusal }) => refusal);
  }

  /** For each client, how far the server need not send. */
  status(): Record<string, number> {
    const status: Record<string, number> = {};
    for (const { client, index } of this.#cursors.values()) status[client] = index;
    for (const client of this.#paused.keys()) if (this.#isPaused(client)) status[client] = ALL;
    return status;
  }

  /** Takes note of operations that need not be taken, because they were created here. */
  know(cursors: readonly Cursor[]): void {
    for (const cursor of cursors) {
      const known = this.#cursors.get(cursor.client)?.index ?? -1;
      if (cursor.index > known) this.#cursors.set(cursor.client, cursor);
      this.#paused.delete(cursor.client);
    }
  }

  /** Forgets what is left of an answer that failed. */
  drop(): void {
    this.#run = [];
    this.#characters = 0;
  }

  /** Takes lines of an answer, in order; returns how many operations were delivered. */
  async take(lines: readonly Line[]): Promise<number> {
    let delivered = 0;
    for (const line of lines) {
      if (this.#run[0] !== undefined && this.#run[0].client !== line.client) {
        delivered += await this.flush();
      }
      if (this.#isPaused(line.client)) continue;
      this.#run.push(line);
      this.#characters += line.payload.length;
      const full = this.#run.length >= RUN_OPERATIONS || this.#characters >= RUN_CHARACTERS;
      if (full) delivered += await this.flush();
    }
    return delivered;
  }

  /** Takes the lines gathered so far as a run of their own. */
  async flush(): Promise<number> {
    const lines = this.#run;
    const client = lines[0]?.client;
    this.drop();
    if (client === undefined) return 0;
    const opened = await this.#options.opener.open(client, lines, this.#cursors.get(client));
    return this.#deliver(client, opened);
  }

  async #deliver(client: string, { operations, cursor, refusal }: Opened): Promise<number> {
    if (operations.length > 0 && cursor !== undefined) {
      await this.#options.receive(operations, cursor);
      await this.#options.store.advance(cursor);
      this.#cursors.set(client, cursor);
      this.#paused.delete(client);
    }
    if (refusal !== undefined) this.refuse(refusal);
    return operations.length;
  }

  /** Nothing more is taken of this client for a while. */
  refuse(refusal: Refusal): void {
    const { client } = refusal;
    const before = this.#paused.get(client)?.pause ?? FIRST_PAUSE_MS / 2;
    const pause = Math.min(before * 2, LONGEST_PAUSE_MS);
    if (this.#paused.size < MAX_REFUSED || this.#paused.has(client)) {
      this.#paused.set(client, { refusal, pause, until: this.#options.clock.now() + pause });
    }
    this.#options.onRefusal(refusal);
  }

  #isPaused(client: string): boolean {
    const paused = this.#paused.get(client);
    return paused !== undefined && this.#options.clock.now() < paused.until;
  }
}
