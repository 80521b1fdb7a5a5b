/** One exchange with the server after the other: what to send, and what follows from the answer. */
import type { Clock } from "./clock.ts";
import type { Exchange } from "./exchange.ts";
import { Refused, Unavailable } from "./failures.ts";
import type { Identity } from "./identity.ts";
import type { Inbox } from "./inbox.ts";
import { type Batch, type ClientChange, Outbox } from "./outbox.ts";
import type { Line, RunOpener } from "./runs.ts";
import type { Store } from "./store.ts";

/** What one request may carry, well below the server's own limits. */
const BATCH_OPERATIONS = 1000;
const BATCH_CHARACTERS = 4 * 1024 * 1024;

/** How often the server is asked whether it still has what it has acknowledged. */
const CHECK_INTERVAL_MS = 3600_000;

/** How long operations that the server has refused are kept back, while reading goes on. */
const HOLD_MS = 300_000;

/** Mends that are tried in a row before the server is thought to be faulty. */
const MENDS = 5;

export interface RoundsOptions {
  readonly identity: Identity;
  readonly store: Store;
  readonly clock: Clock;
  readonly exchange: Exchange;
  readonly opener: RunOpener;
  readonly outbox: Outbox;
  readonly inbox: Inbox;
  readonly onClientChange: (change: ClientChange) => void;
}

/** An outbox, and what it sends next; nothing, when the server is only asked. */
interface Turn {
  readonly outbox: Outbox;
  readonly batch: Batch | undefined;
}

export class Rounds {
  /** Counts what came of the exchanges: operations acknowledged and delivered. */
  progress = 0;
  readonly #options: RoundsOptions;
  /** Of stores that were left by others, until they are empty. */
  readonly #abandoned = new Map<Outbox, Store>();
  /** When the server was last seen to have all that it has acknowledged, for each own client. */
  readonly #checked = new Map<string, number>();
  #soughtAbandoned = Number.NEGATIVE_INFINITY;
  #operations = BATCH_OPERATIONS;
  #characters = BATCH_CHARACTERS;
  #mends = 0;
  #held: { readonly error: Refused; readonly until: number } | undefined;

  constructor(options: RoundsOptions) {
    this.#options = options;
  }

  /** Why operations are kept back for now, if they are. */
  get held(): Refused | undefined {
    return this.#isHeld() ? this.#held?.error : undefined;
  }

  /** Keeps nothing back any longer. */
  release(): void {
    this.#held = undefined;
  }

  get pending(): number {
    return this.#outboxes().reduce((sum, outbox) => sum + outbox.pending, 0);
  }

  /**
   * One exchange. True when nothing is left: all is acknowledged that is not held, and all is read.
   * Throws `Refused`, `Unavailable`, and what the app's handler and the store throw.
   */
  async step(signal: AbortSignal): Promise<boolean> {
    await this.#adopt();
    const turn = await this.#turn();
    const { outbox, batch } = turn;
    const self = this.#options.outbox.client;
    const client = batch?.client ?? self;
    try {
      await this.#exchange(client, turn, signal);
    } catch (error) {
      if (!(error instanceof Refused) || batch === undefined) throw error;
      await this.#mend(outbox, batch, error);
      return false;
    }
    return client === self && !this.#isDue();
  }

  /** Lets go of the stores that were left by others. */
  async close(): Promise<void> {
    for (const [outbox, store] of this.#abandoned) {
      this.#abandoned.delete(outbox);
      await store.close();
    }
  }

  async #exchange(client: string, { outbox, batch }: Turn, signal: AbortSignal): Promise<void> {
    const { exchange, inbox } = this.#options;
    const status = this.#syncStatus();
    const request = {
      client,
      first: batch?.first ?? this.#lastOf(client),
      payloads: batch?.payloads ?? [],
      status,
    };
    const self = this.#options.outbox.client;
    let answered = false;
    inbox.drop();
    try {
      for await (const lines of exchange.sync(request, signal)) {
        if (!answered) await this.#acknowledged(outbox, batch);
        answered = true;
        // What the server leaves out for the sender would be a hole: it is asked for as ourselves.
        const wanted = client === self ? lines : lines.filter((line) => line.client !== client);
        await this.#take(wanted, self);
      }
    } catch (error) {
      const cut = answered && (error instanceof Unavailable || error instanceof Refused);
      if (cut) this.progress += await inbox.flush();
      // A fault of the answer, and not of what was sent.
      if (cut && error instanceof Refused) throw new Unavailable(error.message, { cause: error });
      throw error;
    }
    this.progress += await inbox.flush();
  }

  async #acknowledged(outbox: Outbox, batch: Batch | undefined): Promise<void> {
    this.#mends = 0;
    if (batch === undefined) return;
    const { client, first, payloads } = batch;
    const next = first + payloads.length;
    const known = outbox.own.find((own) => own.client === client)?.acknowledged ?? 0;
    if (next > known) await outbox.acknowledge(client, next);
    this.progress += Math.max(0, next - known);
    this.#checked.set(client, this.#options.clock.now());
  }

  async #take(lines: readonly Line[], self: string): Promise<void> {
    const { inbox } = this.#options;
    let rest = lines;
    const own = lines.findIndex((line) => line.client === self);
    if (own !== -1 && this.#options.outbox.client === self) {
      this.progress += await inbox.take(lines.slice(0, own));
      const line = lines[own];
      if (line !== undefined) await this.#ownLine(line);
      rest = lines.slice(own);
    }
    this.progress += await inbox.take(rest);
  }

  /**
   * The server sends something under our own client id that we did not know it has. If the user has
   * made it, then so did another installation with this client id: a copy of this one, or what this
   * one was before it was restored. We take a new id.
   */
  async #ownLine(line: Line): Promise<void> {
    const { outbox, inbox, opener, onClientChange } = this.#options;
    const { client, index } = line;
    const before = await outbox.acknowledgedCursor(client);
    const { refusal } = await opener.open(client, [line], before);
    const ours = (await outbox.payload(client, index)) === line.payload;
    if (refusal !== undefined || ours) {
      inbox.refuse(refusal ?? { kind: "out of place", client, index });
      return;
    }
    const change = await outbox.change(client, (before?.index ?? -1) + 1);
    inbox.know(await outbox.cursors());
    onClientChange(change);
  }

  /** Makes good what the server has refused, or throws it. */
  async #mend(outbox: Outbox, batch: Batch, error: Refused): Promise<void> {
    const { client, first, payloads } = batch;
    const { operation_index: at, next_index: next } = error.members;
    if (error.status === 413 && payloads.length > 1) {
      this.#operations = Math.ceil(payloads.length / 2);
      const characters = payloads.reduce((sum, payload) => sum + payload.length, 0);
      this.#characters = Math.ceil(characters / 2);
      return;
    }
    if (error.status === 413 || error.status === 507) {
      this.#held = { error, until: this.#options.clock.now() + HOLD_MS };
      return;
    }
    const { type } = error;
    if (error.status !== 409 || ++this.#mends > MENDS) throw error;
    if (type === "operation-gap" && isWithin(next, 0, first)) {
      await outbox.acknowledge(client, next);
    } else if (type === "operation-conflict" && isWithin(at, first, first + payloads.length)) {
      await this.#conflict(outbox, client, at);
    } else throw error;
  }

  async #conflict(outbox: Outbox, client: string, at: number): Promise<void> {
    const acknowledged = outbox.own.find((own) => own.client === client)?.acknowledged ?? 0;
    if (at < acknowledged) {
      // The server once had ours here. Others may differ before it: all is sent again, to find the
      // first.
      await outbox.acknowledge(client, 0);
      return;
    }
    const change = await outbox.change(client, at);
    if (outbox === this.#options.outbox) this.#options.inbox.know(await outbox.cursors());
    this.#options.onClientChange(change);
  }

  async #turn(): Promise<Turn> {
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

  #isDue(): boolean {
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

  /** The last index created under an own client id. */
  #lastOf(client: string): number | undefined {
    const length = this.#options.outbox.own.find((own) => own.client === client)?.length ?? 0;
    return length === 0 ? undefined : length - 1;
  }

  /** What this client is aware of: what it has taken, and what it has created. */
  #syncStatus(): Record<string, number> {
    const status = this.#options.inbox.status();
    for (const { client, length } of this.#options.outbox.own) {
      if (length > 0) status[client] = Math.max(length - 1, status[client] ?? 0);
    }
    return status;
  }

  /** Takes over what tabs or processes that have ended did not get to send. */
  async #adopt(): Promise<void> {
    const { clock, store, identity } = this.#options;
    if (clock.now() - this.#soughtAbandoned < CHECK_INTERVAL_MS) return;
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
