/** Rounds of requests: each asks `state.ts` what to do, does it, and reports what came of it. */
import { MAX_INDEX } from "../protocol/ids.ts";
import type { Line } from "../protocol/types.ts";
import type { CatchUp } from "./catch-up.ts";
import type { Delivery } from "./delivery.ts";
import { ServerRejected, ServerUnavailable } from "./errors.ts";
import type { Heads } from "./heads.ts";
import type { Inbox } from "./inbox.ts";
import { endBy, isEarly, waitSeconds } from "./news.ts";
import { type NextStep, nextStep } from "./next-step.ts";
import type { SyncOptions } from "./options.ts";
import type { Append, Outbox } from "./outbox.ts";
import type { Outcome } from "./outcome.ts";
import { Recovery } from "./recovery.ts";
import type { Refusals } from "./refusals.ts";
import type { Rounds } from "./rounds.ts";
import type { Sending } from "./sending.ts";
import type { SnapshotMaker } from "./snapshot-maker.ts";
import type { Snapshots } from "./snapshots.ts";
import type { Transport } from "./transport.ts";
import type { Clock } from "./types.ts";
import type { RunVerifier } from "./verify.ts";
import type { Writes } from "./writes.ts";

/** What an engine works with; all of it is its caller's to close. */
export interface SyncEngineOptions {
  readonly clock: Clock;
  readonly transport: Transport;
  readonly verifier: RunVerifier;
  readonly outbox: Outbox;
  readonly sending: Sending;
  readonly heads: Heads;
  readonly refusals: Refusals;
  readonly inbox: Inbox;
  readonly catchUp: CatchUp;
  readonly delivery: Delivery;
  readonly writes: Writes;
  readonly snapshots: Snapshots;
  readonly maker: SnapshotMaker;
  readonly app: Pick<SyncOptions, "onLines" | "onClientChange" | "onDelivered">;
  /** Records as delivered what is own and has another client id now. */
  readonly markDelivered: () => Promise<void>;
  /** Milliseconds from being synced to the next round, where the server does not wait for news. */
  readonly pollInterval: number;
  /** From 0 up to 1. */
  readonly random: () => number;
  /** Called with the number of operations that an answer has brought, and will bring. */
  readonly onProgress: (received: number, of: number) => void;
}

/**
 * Runs rounds: each sends the oldest operations without an acknowledgement, reads what is new, and
 * hands what the server refuses to `Recovery`. The decisions are those of `state.ts`.
 */
export class SyncEngine implements Rounds {
  readonly #options: SyncEngineOptions;
  readonly #recovery: Recovery;

  constructor(options: SyncEngineOptions) {
    this.#options = options;
    this.#recovery = new Recovery({ ...options, read: (signal) => this.#read(signal) });
  }

  /** Gives up an own client id: another installation has it as well. */
  giveUp(client: string): Promise<void> {
    return this.#recovery.giveUp(client);
  }

  get live(): boolean {
    const { transport, pollInterval } = this.#options;
    return transport.waits >= 0 && pollInterval < Infinity;
  }

  async round(signal: AbortSignal, onAnswer?: () => void): Promise<Outcome> {
    const outcome = await this.#attempt(signal, onAnswer);
    // An append that cuts a wait short is sent next, and recorded then.
    return signal.aborted ? outcome : this.#recorded(outcome);
  }

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

  next(outcome: Outcome): NextStep {
    const { clock, pollInterval, random, sending, transport } = this.#options;
    if (outcome.kind === "cut") transport.waits = NaN;
    sending.dispatch({ type: "round-ended", outcome });
    return nextStep(sending.state, outcome, {
      now: clock.now(),
      pending: sending.pending,
      pollInterval: this.live ? undefined : pollInterval,
      isDone: sending.isDone,
      random: random(),
    });
  }

  async #deliver(): Promise<void> {
    const { app, catchUp, delivery, snapshots, writes } = this.#options;
    await writes.refresh();
    await snapshots.load();
    await delivery.own();
    await catchUp.run();
    app.onDelivered?.();
  }

  /** One request, and what follows where the server refuses it. */
  async #exchange(signal: AbortSignal, onAnswer?: () => void): Promise<Outcome> {
    const { heads, outbox, sending } = this.#options;
    const append = await sending.next();
    const waits = append === undefined && heads.due.length === 0;
    if (waits && onAnswer !== undefined) return this.#wait(signal, onAnswer);
    const self = outbox.client;
    let isWhole: boolean;
    try {
      isWhole = await this.#request(append, 0, signal);
    } catch (error) {
      if (append === undefined) throw error;
      await this.#recovery.recover(sending.state, append, error, signal);
      return { kind: "incomplete" };
    }
    // A server sends no client its own operations, so reading ends with a request as ourselves.
    const wasOurs = append === undefined || append.batch.client === self;
    return { kind: wasOurs && isWhole && sending.isDone ? "complete" : "incomplete" };
  }

  /** A request that the server answers once there is news. */
  async #wait(signal: AbortSignal, onAnswer: () => void): Promise<Outcome> {
    const { clock, random, sending, transport } = this.#options;
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
    return { kind: isWhole && sending.isDone ? "complete" : "incomplete" };
  }

  /**
   * Reads what is new before the own operations are settled: those of the client id in use are left for
   * later.
   */
  async #read(signal: AbortSignal): Promise<void> {
    await this.#request(undefined, 0, signal, undefined, true);
    await this.#options.snapshots.settle();
  }

  /** One request. False if something of its answer was left, and the server is to be asked again. */
  async #request(
    append: Append | undefined,
    wait: number,
    signal: AbortSignal,
    onAnswer?: () => void,
    skipsOwn = false,
  ): Promise<boolean> {
    const { transport, inbox, outbox, snapshots } = this.#options;
    const { client: self, own } = outbox;
    const last = outbox.lengthOf(self) - 1;
    const first = last < 0 ? undefined : last;
    const batch = append?.batch ?? { client: self, first, payloads: [] };
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
    if (inbox.hasLeft) return false;
    if (isOurs) await inbox.endAnswer(at);
    return true;
  }

  async #acknowledge(append: Append): Promise<void> {
    const { outbox, sending, snapshots } = this.#options;
    await sending.stored(append);
    const { client, first: index, payloads, covers } = append.batch;
    const [payload] = payloads;
    if (covers !== undefined && payload !== undefined && append.outbox === outbox) {
      await snapshots.note({ client, index, payload });
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
    return this.#options.sending.acknowledged + this.#options.inbox.taken;
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
