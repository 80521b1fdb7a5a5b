/** Rounds, one after the other, from the start of a client to its end; and what it shows of them. */
import type { Delivery } from "./delivery.ts";
import type { NextStep } from "./next-step.ts";
import type { SyncOptions } from "./options.ts";
import type { Outcome } from "./outcome.ts";
import { Pause } from "./pause.ts";
import type { Refusals } from "./refusals.ts";
import type { Rounds } from "./rounds.ts";
import type { Sending } from "./sending.ts";
import type { Following, Request } from "./stores/tabs.ts";
import type { Transport } from "./transport.ts";
import type { Clock, OperationName, Refusal, Status } from "./types.ts";
import { type Waiter, Waiters } from "./waiters.ts";
import type { Writes } from "./writes.ts";

/** The status says of an answer with so many operations how many of them have come. */
const LONG_ANSWER = 1000;

/** What a loop works with. */
export interface SyncLoopOptions {
  readonly app: Pick<SyncOptions, "store" | "gather" | "onStatus" | "onRefusal">;
  readonly clock: Clock;
  readonly rounds: Rounds;
  readonly sending: Sending;
  readonly refusals: Refusals;
  readonly delivery: Delivery;
  readonly writes: Writes;
  readonly transport: Pick<Transport, "maxBody">;
  /** Ends the loop. */
  readonly signal: AbortSignal;
}

export class SyncLoop {
  readonly #options: SyncLoopOptions;
  readonly #pause: Pause;
  /** Where other tabs may have the store open. */
  readonly #following: Following | undefined;
  /** The calls of `sync` that wait. */
  readonly #calls = new Waiters();
  #status: Status;
  /** Whether `sync` was called since the round began. */
  #syncRequested = false;
  /** Whether what waits is sent after a while. */
  #isGathering = false;
  /** Whether the last round left nothing to do. */
  #isIdle = false;

  constructor(options: SyncLoopOptions) {
    const { app, sending, signal, writes } = options;
    this.#options = options;
    this.#pause = new Pause(signal);
    this.#status = { state: "pending", pending: sending.pending, refused: 0, live: false };
    const tab = {
      signal,
      settled: () => writes.settled(),
      onChange: () => void this.#takeChanges(),
      onWake: () => this.#cut(),
      onNews: () => this.#isIdle && this.#cut(),
      answer: ({ drop: operation }: Request) =>
        operation === undefined ? this.sync() : this.drop(operation),
    };
    this.#following = app.store.shared?.join(tab, app);
  }

  get status(): Status {
    return this.#status;
  }

  /** Whether another tab leads, and talks to the server for this one. */
  get follows(): boolean {
    return this.#followed !== undefined;
  }

  /** Own operations that are too large for the server: those of the leading tab. */
  get tooLarge(): readonly OperationName[] {
    return this.#following?.news?.tooLarge ?? this.#options.sending.tooLarge;
  }

  /** What is missing or wrong: as the leading tab shows it. */
  get refusals(): readonly Refusal[] {
    return this.#following?.news?.refusals ?? this.#options.refusals.all;
  }

  /** How large a request the server accepts, as far as a tab knows. */
  get maxBody(): number {
    return (this.#following?.news ?? this.#options.transport).maxBody;
  }

  /** See `SyncClient.sync`. */
  sync(signal?: AbortSignal): Promise<void> {
    const synced = this.#calls.add(signal);
    this.#syncRequested = true;
    this.#cut();
    return synced;
  }

  /** See `SyncClient.drop`. */
  async drop(operation: OperationName): Promise<void> {
    if (this.#followed !== undefined) return this.#followed.tabs.ask({ drop: operation });
    if (!(await this.#options.sending.drop(operation))) {
      throw new RangeError("the operation is not too large");
    }
    this.#cut();
  }

  /** There are own entries that were not there before. */
  onOwn(): void {
    const { delivery, sending } = this.#options;
    // What fails is tried again, and reported, by the next round.
    delivery.own().catch(() => this.#cut());
    const { pending } = sending;
    if (this.#status.state === "synced") {
      this.#setStatus({ ...this.#status, state: "pending", pending });
    } else this.#setStatus({ ...this.#status, pending });
    if (this.#isIdle && (this.follows || !sending.isHeld)) this.#sendSoon();
  }

  /** Sends what waits, with what is gathered meanwhile, unless a call of `sync` waits for it. */
  #sendSoon(): void {
    const { app, clock, signal } = this.#options;
    if (!app.gather || this.#calls.now().length > 0) this.#cut();
    else if (!this.#isGathering) {
      this.#isGathering = true;
      void clock.sleep(app.gather, signal).then(() => {
        if (this.#isIdle && this.#isGathering) this.#cut();
        this.#isGathering = false;
      });
    }
  }

  /** Shows how much of an answer has come, if it takes a while. */
  showProgress(received: number, of: number): void {
    if (of >= LONG_ANSWER) this.#setStatus({ ...this.#status, received, of });
  }

  /** Runs rounds until the signal is aborted. */
  async run(): Promise<void> {
    const { refusals, rounds, sending, signal } = this.#options;
    let waits = false;
    while (!signal.aborted) {
      // Now, and not when `sync` was called: the round then under way may have put appends off.
      if (this.#syncRequested) sending.dispatch({ type: "sync-requested" });
      // A round that follows on a cut does not wait: the next append would cut it short as well.
      const waiting: boolean = waits && !this.#pause.isCut;
      this.#syncRequested = false;
      this.#pause.isCut = false;
      const calls = this.#calls.now();
      const following = this.#followed;
      if (following !== undefined) this.#isIdle = true;
      const outcome: Outcome | undefined = await (following?.round(calls, sending, () =>
        rounds.deliver(),
      ) ?? (waiting ? this.#waitForNews() : rounds.round(signal)));
      waits = outcome?.kind === "complete" && following === undefined;
      if (outcome === undefined) continue;
      if (outcome.kind === "failed" && signal.aborted) break;
      // Nothing is awaited up to the pause: an append in between would not find a pause to end.
      if (following !== undefined && outcome.kind !== "failed") {
        this.#setStatus(following.status(sending.pending));
        await this.#wait(Infinity, false);
        continue;
      }
      const next = rounds.next(outcome);
      this.#isIdle = outcome.kind !== "failed";
      this.#setStatus({ ...next.status, refused: refusals.missing, live: rounds.live });
      this.#settle(calls, next);
      const isOver =
        outcome.kind !== "incomplete" && sending.isDone && this.#calls.now().length === 0;
      // What is held is tried again later, by whichever tab leads.
      const rests = outcome.kind === "failed" || (isOver && !sending.isHeld);
      if (rests) this.#following?.tabs.rest();
      // What was appended meanwhile is sent with what is gathered with it: that cuts the pause short.
      const pause = this.#isIdle && this.#isGathering ? Infinity : next.pause;
      if (pause !== undefined) await this.#wait(pause, isFinal(next));
    }
    this.#calls.end(signal.reason);
  }

  /** The next round comes at once. */
  #cut(): void {
    this.#isGathering = false;
    this.#pause.cut();
  }

  /** Where another tab leads. */
  get #followed(): Following | undefined {
    return this.#following?.tabs.leads === false ? this.#following : undefined;
  }

  /** Takes what another tab has changed in the store. What fails, the next round reports. */
  async #takeChanges(): Promise<void> {
    const { signal, writes } = this.#options;
    const isNew = await writes.refresh().catch(() => true);
    if (isNew && !signal.aborted) this.onOwn();
  }

  /** Ends the calls of `sync` that waited when a round began. */
  #settle(waiting: readonly Waiter[], next: NextStep): void {
    const { calls } = next;
    if (calls === "wait") return;
    if (calls === "resolve") for (const { resolve } of waiting) resolve();
    else {
      if (isFinal(next)) this.#calls.end(calls.reject);
      for (const { reject } of waiting) reject(calls.reject);
    }
  }

  /** Waits until `sync` is called at the latest; after a final refusal, until the client is closed. */
  async #wait(milliseconds: number, final: boolean): Promise<void> {
    const { clock, signal } = this.#options;
    const sleep = (until: AbortSignal) => clock.sleep(milliseconds, until);
    if (final) await sleep(signal);
    else if (!this.#pause.isCut) await this.#pause.during(sleep);
  }

  /** A round that waits for news; `undefined` if it was cut short, before its answer began. */
  #waitForNews(): Promise<Outcome | undefined> {
    const { rounds } = this.#options;
    return this.#pause.during((signal) => rounds.round(signal, () => this.#pause.settle()));
  }

  #setStatus(status: Status): void {
    const same = JSON.stringify(status) === JSON.stringify(this.#status);
    this.#status = status;
    const { maxBody } = this.#options.transport;
    const { refusals, tooLarge } = this;
    this.#following?.tell({ status, refusals, tooLarge, maxBody });
    if (same) return;
    try {
      this.#options.app.onStatus?.(status);
    } catch (error) {
      // A fault of the app must not stop the sync: the runtime reports it as uncaught.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

function isFinal({ status }: NextStep): boolean {
  return status.state === "refused" && status.final;
}
