/** Rounds of requests: each asks `state.ts` what to do, does it, and reports what came of it. */
import { MAX_INDEX } from "../protocol/ids.ts";
import type { Line } from "../protocol/types.ts";
import { AbandonedOutboxes } from "./abandoned.ts";
import type { Delivery } from "./delivery.ts";
import { ServerRejected, ServerUnavailable } from "./errors.ts";
import type { Inbox } from "./inbox.ts";
import { endBy, isEarly, waitSeconds } from "./news.ts";
import { type NextStep, nextStep } from "./next-step.ts";
import type { SyncOptions } from "./options.ts";
import type { Outbox } from "./outbox.ts";
import type { Outcome } from "./outcome.ts";
import { type Append, Recovery } from "./recovery.ts";
import type { SnapshotMaker } from "./snapshot-maker.ts";
import type { Snapshots } from "./snapshots.ts";
import {
  type BatchLimits,
  holdAt,
  initialState,
  mustCheckAbandoned,
  planRequest,
  type SyncEvent,
  transition,
} from "./state.ts";
import type { OwnClient, Store } from "./stores/store.ts";
import type { Transport } from "./transport.ts";
import type { Clock, Identity, OperationName } from "./types.ts";
import type { RunVerifier } from "./verify.ts";
import type { Writes } from "./writes.ts";

/** What an engine works with; all of it is its caller's to close. */
export interface SyncEngineOptions {
  readonly identity: Identity;
  readonly store: Store;
  readonly clock: Clock;
  readonly transport: Transport;
  readonly verifier: RunVerifier;
  readonly outbox: Outbox;
  readonly inbox: Inbox;
  readonly delivery: Delivery;
  readonly writes: Writes;
  readonly snapshots: Snapshots;
  readonly maker: SnapshotMaker;
  readonly app: Pick<SyncOptions, "onLines" | "onClientChange" | "onDelivered">;
  /** Milliseconds from being synced to the next round, where the server does not wait for news. */
  readonly pollInterval: number;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Called with the number of operations that an answer has brought, and will bring. */
  readonly onProgress: (received: number, of: number) => void;
}

/** A device that others have not heard of for so long appends an operation without entries. */
const SIGN_OF_LIFE_MS = 24 * 3600_000;

/**
 * Runs rounds: each sends the oldest operations without an acknowledgement, reads what is new, and
 * hands what the server refuses to `Recovery`. The decisions are those of `state.ts`.
 */
export class SyncEngine {
  readonly #options: SyncEngineOptions;
  readonly #recovery: Recovery;
  readonly #abandoned: AbandonedOutboxes;
  #state = initialState;
  /** The number of operations that the server has acknowledged so far. */
  #acknowledged = 0;
  /** When other devices last heard of this one. */
  #heardAt: number;

  constructor(options: SyncEngineOptions) {
    this.#options = options;
    this.#heardAt = options.clock.now();
    this.#abandoned = new AbandonedOutboxes(options.store, options.identity);
    this.#recovery = new Recovery({
      ...options,
      dispatch: (event) => this.#dispatch(event),
      read: (signal) => this.#read(signal),
    });
  }

  /** The number of entries that the server has not acknowledged. */
  get pending(): number {
    return this.#outboxes().reduce((sum, outbox) => sum + outbox.pending, 0);
  }

  /** Own operations that are too large for the server, and stay on this device. */
  get tooLarge(): OperationName[] {
    const { tooLarge } = this.#state;
    return this.#outboxes()
      .flatMap(({ own }) => own)
      .filter(({ client }) => tooLarge.has(client) && !tooLarge.get(client)?.isLeftOut)
      .map(({ client, acknowledged: index }) => ({ client, index }));
  }

  /** Removes an own operation that is too large for the server. False if it is none of these. */
  async drop({ client, index }: OperationName): Promise<boolean> {
    if (!this.tooLarge.some((one) => one.client === client && one.index === index)) return false;
    const outbox = this.#outboxes().find((one) => one.lengthOf(client) > 0);
    await outbox?.drop(client, index);
    const { inbox, outbox: own } = this.#options;
    if (outbox === own) inbox.markDelivered(await own.cursors(), await own.continued());
    this.#dispatch({ type: "operation-dropped", client });
    return true;
  }

  /** Whether appends wait because the server refused one. */
  get isHeld(): boolean {
    return holdAt(this.#state, this.#options.clock.now()) !== undefined;
  }

  /** The app wants a sync now: appends that wait are tried again. */
  requestSync(): void {
    this.#dispatch({ type: "sync-requested" });
  }

  /** Gives up an own client id: another installation has it as well. */
  giveUp(client: string): Promise<void> {
    return this.#recovery.giveUp(client);
  }

  /** Whether the server waits for news, and this client asks it by itself. */
  get live(): boolean {
    const { transport, pollInterval } = this.#options;
    return transport.waits >= 0 && pollInterval < Infinity;
  }

  /**
   * Sends the oldest operations that wait, and reads what is new. Never rejects.
   *
   * @param onAnswer if it is there and nothing is to be sent, the server is asked to wait for news.
   *   Called when its answer begins: until then, an abort loses nothing
   */
  async round(signal: AbortSignal, onAnswer?: () => void): Promise<Outcome> {
    const outcome = await this.#attempt(signal, onAnswer);
    // An append that cuts a wait short is sent next, and recorded then.
    return signal.aborted ? outcome : this.#recorded(outcome);
  }

  /** A round without the server: delivers what is on this device. Never rejects. */
  async deliver(): Promise<Outcome> {
    const failure = await failureOf(this.#deliver());
    if (failure !== undefined) return { kind: "failed", ...failure, progressed: false };
    return this.#recorded({ kind: "complete" });
  }

  async #recorded(outcome: Outcome): Promise<Outcome> {
    const failure = await failureOf(this.#options.outbox.recordDelivered());
    return failure === undefined ? outcome : { kind: "failed", ...failure, progressed: false };
  }

  async #attempt(signal: AbortSignal, onAnswer?: () => void): Promise<Outcome> {
    const before = this.#progress();
    const failure = await failureOf(this.#deliver());
    try {
      const outcome = await this.#exchange(signal, failure === undefined ? onAnswer : undefined);
      // What fails in the app keeps nothing from being sent.
      if (failure !== undefined) throw failure.error;
      if (outcome.kind !== "complete") return outcome;
      await this.#options.snapshots.settle();
      return (await this.#options.maker.make()) ? { kind: "incomplete" } : outcome;
    } catch (error) {
      const isRequired = error instanceof ServerRejected && error.code === "snapshot-required";
      if (isRequired) this.#options.snapshots.require();
      return { kind: "failed", error, progressed: this.#progress() > before };
    }
  }

  /** What follows from a round, to be called once for each. */
  next(outcome: Outcome): NextStep {
    const { clock, pollInterval, random, transport } = this.#options;
    if (outcome.kind === "cut") transport.waits = NaN;
    this.#dispatch({ type: "round-ended", outcome });
    return nextStep(this.#state, outcome, {
      now: clock.now(),
      pending: this.pending,
      pollInterval: this.live ? undefined : pollInterval,
      isDone: this.isDone,
      random: random(),
    });
  }

  /** Closes the stores that other processes abandoned. */
  async close(): Promise<void> {
    await this.#abandoned.close();
  }

  async #deliver(): Promise<void> {
    await this.#options.writes.refresh();
    await this.#options.snapshots.load();
    await this.#options.delivery.own();
    await this.#options.inbox.catchUp();
    this.#options.app.onDelivered?.();
  }

  #dispatch(event: SyncEvent): void {
    this.#state = transition(this.#state, event);
  }

  #outboxes(): Outbox[] {
    return [this.#options.outbox, ...this.#abandoned.all];
  }

  /** One request, and what follows where the server refuses it. */
  async #exchange(signal: AbortSignal, onAnswer?: () => void): Promise<Outcome> {
    await this.#updateAbandoned();
    const append = await this.#nextAppend();
    const waits = append === undefined && this.#options.inbox.heads.due.length === 0;
    if (waits && onAnswer !== undefined) return this.#wait(signal, onAnswer);
    const self = this.#options.outbox.client;
    let isWhole: boolean;
    try {
      isWhole = await this.#request(append, 0, signal);
    } catch (error) {
      if (append === undefined) throw error;
      await this.#recovery.recover(this.#state, append, error, signal);
      return { kind: "incomplete" };
    }
    // A server sends no client its own operations, so reading ends with a request as ourselves.
    const wasOurs = append === undefined || append.batch.client === self;
    return { kind: wasOurs && isWhole && this.isDone ? "complete" : "incomplete" };
  }

  /** A request that the server answers once there is news. */
  async #wait(signal: AbortSignal, onAnswer: () => void): Promise<Outcome> {
    const { clock, random, transport } = this.#options;
    const before = this.#progress();
    const start = clock.now();
    let isAnswered = false;
    let isWhole: boolean;
    try {
      isWhole = await this.#request(undefined, waitSeconds(random()), signal, () => {
        isAnswered = true;
        onAnswer();
      });
    } catch (error) {
      const outcome = isAnswered ? undefined : endBy(error);
      if (outcome === undefined) throw error;
      return outcome;
    }
    const isNews = this.#progress() > before || !isWhole;
    if (!isNews && isEarly(clock.now() - start, transport.waits)) {
      return { kind: "cut", retryAfter: 0 };
    }
    return { kind: isWhole && this.isDone ? "complete" : "incomplete" };
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

  #plan() {
    const outboxes = this.#outboxes().map(({ own }) => own);
    return planRequest(this.#state, outboxes, this.#options.clock.now());
  }

  async #nextAppend(): Promise<Append | undefined> {
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

  /** What this device has received, others learn from its operations: one a day at least. */
  async #signOfLife(): Promise<void> {
    const { clock, outbox } = this.#options;
    const isQuiet = clock.now() - this.#heardAt >= SIGN_OF_LIFE_MS;
    // What is pending is a sign as well.
    const isIdle = outbox.pending === 0 && !this.isHeld;
    if (!isQuiet || !isIdle || lastIndex(outbox.own) === undefined) return;
    this.#heardAt = clock.now();
    await outbox.append([], 0);
  }

  /** The limits of a batch, so that the server takes its body. */
  #fitting({ operations, characters }: BatchLimits): BatchLimits {
    // The other half is for the rest of the request, such as the sync status.
    return { operations, characters: Math.min(characters, this.#options.transport.maxBody / 2) };
  }

  /**
   * Reads what is new before the own operations are settled: those of the client id in use are left for
   * later.
   */
  async #read(signal: AbortSignal): Promise<void> {
    await this.#request(undefined, 0, signal, undefined, true);
    await this.#options.snapshots.settle();
  }

  /** One request. False if the rest of its answer was left, for a snapshot with which it began. */
  async #request(
    append: Append | undefined,
    wait: number,
    signal: AbortSignal,
    onAnswer?: () => void,
    skipsOwn = false,
  ): Promise<boolean> {
    const { transport, inbox, outbox, snapshots } = this.#options;
    const { client: self, own } = outbox;
    const batch = append?.batch ?? { client: self, first: lastIndex(own), payloads: [] };
    const isOurs = batch.client === self;
    const at = this.#options.clock.now();
    const status = inbox.versionVector(own, isOurs && wait === 0);
    if (skipsOwn) status[self] = MAX_INDEX;
    const request = { ...batch, status, wait, snapshots: snapshots.areTaken };
    let stored = false;
    let received = 0;
    inbox.discard();
    try {
      for await (const lines of transport.sync(request, signal)) {
        if (!stored) onAnswer?.();
        if (!stored && append !== undefined) await this.#acknowledge(append);
        stored = true;
        this.#options.app.onLines?.(lines);
        received += lines.length;
        this.#options.onProgress(received, transport.expected);
        // One that was not asked for is an operation like any other.
        const isSnapshot = (line: Line) => request.snapshots && line.covers;
        for (const line of lines.filter(isSnapshot)) {
          await inbox.flush();
          if (!(await snapshots.take(line))) return false;
        }
        // The server leaves out what the sender created itself. The rest of the sender's
        // operations would come with holes, so they are left for a request as ourselves.
        const operations = lines.filter((line) => {
          return !isSnapshot(line) && (isOurs || line.client !== batch.client);
        });
        await this.#receive(operations, self);
      }
    } catch (error) {
      // An answer that was cut is good up to there.
      if (stored && error instanceof ServerUnavailable) await inbox.flush();
      throw error;
    }
    await inbox.flush();
    if (isOurs) await inbox.endAnswer(at);
    return true;
  }

  /** The server has stored a batch, which may have been acknowledged before. */
  async #acknowledge({ outbox, batch }: Append): Promise<void> {
    const { client, first, payloads, covers } = batch;
    const next = first + payloads.length;
    const known = outbox.own.find((own) => own.client === client)?.acknowledged ?? 0;
    if (next > known) {
      await outbox.acknowledge(client, next);
      this.#acknowledged += next - known;
      if (outbox === this.#options.outbox) this.#heardAt = this.#options.clock.now();
    }
    this.#dispatch({ type: "batch-stored", client, now: this.#options.clock.now() });
    const [payload] = payloads;
    if (covers !== undefined && payload !== undefined && outbox === this.#options.outbox) {
      await this.#options.snapshots.note({ client, index: first, payload });
    }
  }

  async #receive(lines: readonly Line[], self: string): Promise<void> {
    const { inbox, outbox } = this.#options;
    const at = lines.findIndex(({ client }) => client === self);
    const own = lines[at];
    // Once the client id was changed, the old one is like that of any other client.
    if (own === undefined || outbox.client !== self) return inbox.push(lines);
    await inbox.push(lines.slice(0, at));
    await this.#recovery.ownLine(own);
    const rest = lines.slice(at);
    await inbox.push(outbox.client === self ? rest.filter(({ client }) => client !== self) : rest);
  }

  /** Grows whenever operations are acknowledged or delivered. */
  #progress(): number {
    return this.#acknowledged + this.#options.inbox.taken;
  }

  async #updateAbandoned(): Promise<void> {
    await this.#abandoned.closeEmpty();
    const now = this.#options.clock.now();
    if (!mustCheckAbandoned(this.#state, now)) return;
    const failure = await this.#abandoned.find();
    this.#dispatch({ type: "abandoned-checked", now, failure });
  }
}

async function failureOf(work: Promise<void>): Promise<{ readonly error: unknown } | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return { error };
  }
}

/** The last index created under the client id in use, if there is one. */
function lastIndex(own: readonly OwnClient[]): number | undefined {
  const length = own.at(-1)?.length ?? 0;
  return length === 0 ? undefined : length - 1;
}
