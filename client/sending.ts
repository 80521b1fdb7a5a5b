/** What this device has to send: its own operations that no server has, and those that others left. */
import type { AbandonedOutboxes } from "./abandoned.ts";
import type { Append, Outbox } from "./outbox.ts";
import {
  type BatchLimits,
  holdAt,
  initialState,
  mustCheckAbandoned,
  planRequest,
  type SyncEvent,
  type SyncState,
  transition,
} from "./state.ts";
import type { Transport } from "./transport.ts";
import type { Clock, OperationName } from "./types.ts";

/** What a sending works with. */
export interface SendingOptions {
  readonly clock: Clock;
  readonly transport: Pick<Transport, "maxBody">;
  /** The outbox of this installation. */
  readonly outbox: Outbox;
  /** Those that other processes left, to be sent as well. */
  readonly abandoned: AbandonedOutboxes;
  /** Records as delivered what is own and has another client id now. */
  readonly markDelivered: () => Promise<void>;
}

/** A device that others have not heard of for so long appends an operation without entries. */
const SIGN_OF_LIFE_MS = 24 * 3600_000;

/** Hands out one append after the other. What comes next is the decision of `state.ts`. */
export class Sending {
  readonly #options: SendingOptions;
  /** What is known of the server. */
  state: SyncState = initialState;
  /** The number of operations that the server has acknowledged so far. */
  acknowledged = 0;
  /** When other devices last heard of this one. */
  #heardAt: number;

  constructor(options: SendingOptions) {
    this.#options = options;
    this.#heardAt = options.clock.now();
  }

  dispatch(event: SyncEvent): void {
    this.state = transition(this.state, event);
  }

  /** The number of entries that the server has not acknowledged. */
  get pending(): number {
    return this.#outboxes().reduce((sum, outbox) => sum + outbox.pending, 0);
  }

  /** Own operations that are too large for the server, and stay on this device. */
  get tooLarge(): OperationName[] {
    const { tooLarge } = this.state;
    return this.#outboxes()
      .flatMap(({ own }) => own)
      .filter(({ client }) => tooLarge.has(client) && !tooLarge.get(client)?.isLeftOut)
      .map(({ client, acknowledged: index }) => ({ client, index }));
  }

  /** Whether appends wait because the server refused one. */
  get isHeld(): boolean {
    return holdAt(this.state, this.#options.clock.now()) !== undefined;
  }

  /** Whether nothing is left to send. */
  get isDone(): boolean {
    return this.isHeld || (!this.isUrgent && this.#plan().send === "nothing");
  }

  /** Whether something waits to be sent that no server has. */
  get isUrgent(): boolean {
    if (this.isHeld) return false;
    const isWaiting = this.#outboxes().some((outbox) => outbox.isWaiting);
    return isWaiting || this.#plan().send === "unacknowledged";
  }

  /** Removes an own operation that is too large for the server. False if it is none of these. */
  async drop({ client, index }: OperationName): Promise<boolean> {
    if (!this.tooLarge.some((one) => one.client === client && one.index === index)) return false;
    const outbox = this.#outboxes().find((one) => one.lengthOf(client) > 0);
    await outbox?.drop(client, index);
    if (outbox === this.#options.outbox) await this.#options.markDelivered();
    this.dispatch({ type: "operation-dropped", client });
    return true;
  }

  /** What the next request carries, made of what waits; `undefined` where it only reads. */
  async next(): Promise<Append | undefined> {
    await this.#updateAbandoned();
    if (!this.isHeld) for (const outbox of this.#outboxes()) await outbox.sealWaiting();
    await this.#signOfLife();
    const plan = this.#plan();
    if (plan.send === "nothing") return undefined;
    const outbox = this.#outboxes()[plan.outbox];
    const batch =
      plan.send === "last"
        ? await outbox?.last(plan.client)
        : await outbox?.next(plan.client, this.#fitting(plan.limits));
    return outbox && batch && { outbox, batch };
  }

  /** The server has stored a batch, which may have been acknowledged before. */
  async stored({ outbox, batch }: Append): Promise<void> {
    const { client, first, payloads } = batch;
    const next = first + payloads.length;
    const known = outbox.own.find((own) => own.client === client)?.acknowledged ?? 0;
    if (next > known) {
      await outbox.acknowledge(client, next);
      this.acknowledged += next - known;
      if (outbox === this.#options.outbox) this.#heardAt = this.#options.clock.now();
    }
    this.dispatch({ type: "batch-stored", client, now: this.#options.clock.now() });
  }

  /** Closes the stores that other processes abandoned. */
  async close(): Promise<void> {
    await this.#options.abandoned.close();
  }

  #outboxes(): Outbox[] {
    return [this.#options.outbox, ...this.#options.abandoned.all];
  }

  #plan() {
    const outboxes = this.#outboxes().map(({ own }) => own);
    return planRequest(this.state, outboxes, this.#options.clock.now());
  }

  /** What this device has received, others learn from its operations: one a day at least. */
  async #signOfLife(): Promise<void> {
    const { clock, outbox } = this.#options;
    const isQuiet = clock.now() - this.#heardAt >= SIGN_OF_LIFE_MS;
    // What is pending is a sign as well.
    const isIdle = outbox.pending === 0 && !this.isHeld;
    if (!isQuiet || !isIdle || outbox.lengthOf(outbox.client) === 0) return;
    this.#heardAt = clock.now();
    await outbox.append([], 0);
  }

  /** The limits of a batch, so that the server takes its body. */
  #fitting({ operations, characters }: BatchLimits): BatchLimits {
    // The other half is for the rest of the request, such as the sync status.
    return { operations, characters: Math.min(characters, this.#options.transport.maxBody / 2) };
  }

  async #updateAbandoned(): Promise<void> {
    await this.#options.abandoned.closeEmpty();
    const now = this.#options.clock.now();
    if (!mustCheckAbandoned(this.state, now)) return;
    const failure = await this.#options.abandoned.find();
    this.dispatch({ type: "abandoned-checked", now, failure });
  }
}
