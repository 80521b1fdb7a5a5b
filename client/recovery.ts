/**
 * What is sent next: operations that are not acknowledged, of this installation first; and how it
 * goes on after the server has refused some.
 */
import type { ServerRejected } from "./errors.ts";
import { type Batch, Outbox } from "./outbox.ts";
import type { Store } from "./stores/store.ts";
import type { ClientChange, Clock, Created, Identity } from "./types.ts";

/** What one request may carry, well below the server's own limits. */
const BATCH_OPERATIONS = 1000;
const BATCH_CHARACTERS = 4 * 1024 * 1024;

/** How often the server is asked whether it still has what it has acknowledged. */
const CHECK_INTERVAL_MS = 3600_000;

/** How often it is looked whether others have left operations unsent. */
const ADOPT_INTERVAL_MS = 60_000;

/** How long operations that the server has refused are kept back, while reading goes on. */
const HOLD_MS = 300_000;

export interface SenderOptions {
  readonly identity: Identity;
  readonly store: Store;
  readonly clock: Clock;
  readonly outbox: Outbox;
  readonly onClientChange: (change: ClientChange) => Promise<void>;
}

/** An operation of the user in the place of another one: a client id is in use twice. */
export interface Rival {
  /** Whether it follows on what is before the other one, so that they part here. */
  readonly follows: boolean;
}

/** An outbox, and what it sends next; nothing, when the server is only asked. */
export interface Turn {
  readonly outbox: Outbox;
  readonly batch: Batch | undefined;
}

export class Sender {
  readonly #options: SenderOptions;
  /** Of stores that were left by others, until they are empty. */
  readonly #abandoned = new Map<Outbox, Store>();
  /** When the server was last seen to have all that it has acknowledged, for each own client. */
  readonly #checked = new Map<string, number>();
  /** Own clients of which all was sent again, to find where a copy has parted from them. */
  readonly #searched = new Set<string>();
  #soughtAbandoned = Number.NEGATIVE_INFINITY;
  #operations = BATCH_OPERATIONS;
  #characters = BATCH_CHARACTERS;
  #held: { readonly error: ServerRejected; readonly until: number } | undefined;

  constructor(options: SenderOptions) {
    this.#options = options;
  }

  /** Why operations are kept back for now, if they are. */
  get held(): ServerRejected | undefined {
    return this.#isHeld() ? this.#held?.error : undefined;
  }

  /** Keeps nothing back any longer. */
  release(): void {
    this.#held = undefined;
  }

  get pending(): number {
    return this.#outboxes().reduce((sum, outbox) => sum + outbox.pending, 0);
  }

  /** What the next request carries. */
  async next(): Promise<Turn> {
    await this.#adopt();
    const { outbox: main } = this.#options;
    if (this.#isHeld()) return { outbox: main, batch: undefined };
    for (const outbox of this.#outboxes()) {
      const batch = await outbox.next(this.#operations, this.#characters);
      if (batch !== undefined) return { outbox, batch };
      const store = this.#abandoned.get(outbox);
      this.#abandoned.delete(outbox);
      await store?.close();
    }
    const unchecked = main.own.find((own) => this.#isUnchecked(own));
    const batch = unchecked === undefined ? undefined : await main.last(unchecked.client);
    return { outbox: main, batch };
  }

  /** Whether there is anything to send now. */
  get isDue(): boolean {
    if (this.#isHeld()) return false;
    return this.pending > 0 || this.#options.outbox.own.some((own) => this.#isUnchecked(own));
  }

  #isUnchecked({ client, length }: { client: string; length: number }): boolean {
    const checked = this.#checked.get(client) ?? Number.NEGATIVE_INFINITY;
    return length > 0 && this.#options.clock.now() - checked >= CHECK_INTERVAL_MS;
  }

  #isHeld(): boolean {
    return this.#held !== undefined && this.#options.clock.now() < this.#held.until;
  }

  #outboxes(): Outbox[] {
    return [this.#options.outbox, ...this.#abandoned.keys()];
  }

  /** The server has what it was sent; returns how many operations it had not acknowledged before. */
  async acknowledged({ outbox, batch }: Turn): Promise<number> {
    if (batch === undefined) return 0;
    const { client, first, payloads } = batch;
    const next = first + payloads.length;
    const known = outbox.own.find((own) => own.client === client)?.acknowledged ?? 0;
    if (next > known) await outbox.acknowledge(client, next);
    this.#checked.set(client, this.#options.clock.now());
    return Math.max(0, next - known);
  }

  /**
   * Makes good what the server has refused, or throws it.
   *
   * @param rivalOf what the server shows in the place of an own operation
   */
  async recover(
    { outbox, batch }: Turn,
    error: ServerRejected,
    rivalOf: (outbox: Outbox, place: Created) => Promise<Rival | undefined>,
  ): Promise<void> {
    if (batch === undefined) throw error;
    const { client, first, payloads } = batch;
    const { operation_index: at, next_index: next } = error.members;
    const { code } = error;
    if (code === "body-too-large" && payloads.length > 1) return this.sendLess(batch);
    if (code === "body-too-large" || code === "quota-exceeded") return this.#hold(error);
    if (code === "operation-gap" && isWithin(next, 0, first)) {
      // Each goes further back, so there is an end to them.
      await outbox.acknowledge(client, next);
    } else if (code === "operation-conflict" && isWithin(at, first, first + payloads.length)) {
      const rival = await rivalOf(outbox, { client, index: at });
      if (rival === undefined) return this.#hold(error);
      if (!rival.follows && !this.#searched.has(client)) {
        // They have parted before: all is sent again, to find where.
        this.#searched.add(client);
        return outbox.acknowledge(client, 0);
      }
      await this.#options.onClientChange(await outbox.change(client, at));
    } else throw error;
  }

  /** Keeps operations back for a while. */
  #hold(error: ServerRejected): void {
    this.#held = { error, until: this.#options.clock.now() + HOLD_MS };
  }

  /** From now on half as much at once as in a batch that was too large, or came too slowly. */
  sendLess({ payloads }: Batch): void {
    this.#operations = Math.ceil(payloads.length / 2);
    const characters = payloads.reduce((sum, payload) => sum + payload.length, 0);
    this.#characters = Math.ceil(characters / 2);
  }

  /** Lets go of the stores that were left by others. */
  async close(): Promise<void> {
    for (const [outbox, store] of this.#abandoned) {
      this.#abandoned.delete(outbox);
      await store.close();
    }
  }

  /** Takes over what tabs or processes that have ended did not get to send. */
  async #adopt(): Promise<void> {
    const { clock, store, identity } = this.#options;
    if (clock.now() - this.#soughtAbandoned < ADOPT_INTERVAL_MS) return;
    this.#soughtAbandoned = clock.now();
    for (const left of await store.abandoned()) {
      const { own } = await left.load();
      this.#abandoned.set(await Outbox.open(left, identity, own), left);
    }
  }
}

function isWithin(value: unknown, from: number, below: number): value is number {
  return Number.isSafeInteger(value) && Number(value) >= from && Number(value) < below;
}
