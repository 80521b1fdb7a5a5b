/**
 * What an app embeds: a client of one user at one server.
 *
 * It keeps one exchange with the server under way at a time. Each sends what is oldest of the
 * operations that are not acknowledged, and reads what is new.
 */

import { type Bytes, utf8 } from "../protocol/bytes.ts";
import { LinkedAbort } from "./abort.ts";
import { systemClock } from "./clock.ts";
import { SyncEngine } from "./engine.ts";
import { ServerRejected, ServerUnavailable } from "./errors.ts";
import { Inbox } from "./inbox.ts";
import type { SyncOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { Sender } from "./recovery.ts";
import { Transport } from "./transport.ts";
import type { ClientChange, Clock, Created, Cursor, Operation, Refusal, Status } from "./types.ts";
import { RunVerifier } from "./verify.ts";
import { type Waiter, Waiters } from "./waiters.ts";

/** How long to wait after failures: doubled each time, and half of it at random. */
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 300_000;

const DEFAULT_POLL_MS = 30_000;
const DEFAULT_IDLE_TIMEOUT_MS = 60_000;

/** The one refusal after which the server is never asked again. */
const USER_ERASED = "user-erased";

export class SyncClient {
  readonly #options: SyncOptions;
  readonly #clock: Clock;
  readonly #exchange: Transport;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #sender: Sender;
  readonly #rounds: SyncEngine;
  readonly #closing: LinkedAbort;
  readonly #waiters = new Waiters();
  #ended: Promise<void> = Promise.resolve();
  #status: Status;
  /** Ends a wait that may be cut short. */
  #wake: LinkedAbort | undefined;
  /** Whether `sync` was called since the exchange began: then there is no wait behind it. */
  #hurried = false;

  private constructor(options: SyncOptions, outbox: Outbox, cursors: readonly Cursor[]) {
    const { identity, store, receive, clock = systemClock } = options;
    const opener = new RunVerifier(identity);
    this.#options = options;
    this.#clock = clock;
    this.#outbox = outbox;
    this.#exchange = new Transport({
      url: options.url,
      identity,
      clock,
      fetch: options.fetch ?? ((request) => fetch(request)),
      sign: options.sign ?? true,
      idleTimeout: options.idleTimeout ?? DEFAULT_IDLE_TIMEOUT_MS,
    });
    this.#inbox = new Inbox(
      {
        store,
        opener,
        receive,
        clock,
        onRefusal: (refusal) => options.onRefusal?.(refusal),
      },
      cursors,
    );
    const onClientChange = async (change: ClientChange) => {
      this.#inbox.know(await outbox.cursors());
      options.onClientChange?.(change);
    };
    this.#sender = new Sender({ identity, store, clock, outbox, onClientChange });
    this.#rounds = new SyncEngine({
      exchange: this.#exchange,
      opener,
      sender: this.#sender,
      outbox,
      inbox: this.#inbox,
      onClientChange,
    });
    this.#closing = new LinkedAbort(options.signal);
    this.#status = { state: "pending", pending: this.#sender.pending };
  }

  /** Takes up what the store holds, and begins to sync. */
  static async open(options: SyncOptions): Promise<SyncClient> {
    const { store, identity, cursors } = options;
    const state = await store.load();
    if (cursors !== undefined) await store.replaceCursors(cursors);
    const outbox = await Outbox.open(store, identity, state.own);
    const client = new SyncClient(options, outbox, cursors ?? state.cursors);
    client.#inbox.know(await outbox.cursors());
    client.#ended = client.#run();
    return client;
  }

  /** The client id under which operations are created. */
  get client(): string {
    return this.#outbox.client;
  }

  get status(): Status {
    return this.#status;
  }

  /** Operations that stand refused, the first of each client: not delivered, and asked for again. */
  get refusals(): readonly Refusal[] {
    return this.#inbox.refusals;
  }

  /**
   * Creates an operation: seals it, and returns once it is durable on this device. It is sent as
   * soon as the server can be reached. It is not delivered to `receive`, for the app has it. Throws
   * a `TypeError` for a text with a lone surrogate, which no UTF-8 can hold.
   */
  async append(data: string | Bytes, signal?: AbortSignal): Promise<Created> {
    const [created] = await this.appendAll([data], signal);
    if (created === undefined) throw new RangeError("nothing was created");
    return created;
  }

  /** Creates operations, as one durable step: faster than one by one. */
  async appendAll(
    data: readonly (string | Bytes)[],
    signal?: AbortSignal,
  ): Promise<readonly Created[]> {
    this.#closing.signal.throwIfAborted();
    if (data.length === 0) return [];
    const bytes = data.map((one) => (typeof one === "string" ? utf8Of(one) : one));
    const created = await this.#outbox.append(bytes, signal);
    if (this.#status.state === "synced") {
      this.#tell({ state: "pending", pending: this.#sender.pending });
      this.#wake?.abort();
    } else this.#tell({ ...this.#status, pending: this.#sender.pending });
    return created;
  }

  /** What this installation has created, decrypted, in the order of its creation, some at a time. */
  operations(): AsyncGenerator<Operation[], void, void> {
    return this.#outbox.operations();
  }

  /**
   * Resolves once all that was appended is acknowledged, and all that the server had is delivered.
   * While the server cannot be reached, that takes until the signal is aborted. Rejects with what
   * the server refuses, and when the client is closed. A wait that the server has not asked for is
   * cut short.
   */
  sync(signal?: AbortSignal): Promise<void> {
    const synced = this.#waiters.add(signal);
    this.#sender.release();
    this.#hurried = true;
    this.#wake?.abort();
    return synced;
  }

  /** Has the server erase all that it holds of the user, for all devices, and closes this client. */
  async erase(signal: AbortSignal = this.#closing.signal): Promise<void> {
    await this.#exchange.erase(signal);
    await this.close();
  }

  /** Ends what is under way, and closes the store. What was not sent is sent when it opens again. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException("the client was closed", "AbortError"));
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let failures = 0;
    while (!signal.aborted) {
      this.#hurried = false;
      const waiting = this.#waiters.now();
      const before = this.#rounds.progress;
      try {
        const done = await this.#rounds.step(signal);
        failures = 0;
        if (done) await this.#finish(waiting);
        else this.#tell({ state: "pending", pending: this.#sender.pending });
      } catch (error) {
        if (signal.aborted) break;
        failures = this.#rounds.progress > before ? 1 : failures + 1;
        await this.#fail(error, failures, waiting);
      }
    }
    this.#waiters.end(signal.reason);
    await this.#sender.close();
    await this.#options.store.close();
  }

  /** Nothing is left to do for those who waited when the last exchange began. */
  async #finish(waiting: readonly Waiter[]): Promise<void> {
    const { held, pending } = this.#sender;
    if (held === undefined) {
      this.#tell({ state: "synced", pending: 0 });
      for (const { resolve } of waiting) resolve();
    } else {
      this.#tell({ state: "refused", pending, why: held.message, final: false });
      for (const { reject } of waiting) reject(held);
    }
    if (pending > 0 && held === undefined) return;
    await this.#rest(this.#options.pollInterval ?? DEFAULT_POLL_MS, true);
  }

  async #fail(error: unknown, failures: number, waiting: readonly Waiter[]): Promise<void> {
    const { pending } = this.#sender;
    const why = error instanceof Error ? error.message : String(error);
    const longest = Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS);
    const wait = longest * (0.5 + 0.5 * (this.#options.random ?? Math.random)());
    if (error instanceof ServerUnavailable) {
      this.#tell({ state: error.limited ? "pending" : "offline", pending, why });
      // A wait that the server has asked for is kept.
      return this.#rest(Math.max(wait, error.retryAfter), error.retryAfter === 0);
    }
    const final = error instanceof ServerRejected && error.code === USER_ERASED;
    this.#tell({ state: "refused", pending, why, final });
    if (final) this.#waiters.end(error);
    for (const { reject } of waiting) reject(error);
    return this.#rest(final ? Number.POSITIVE_INFINITY : wait, !final);
  }

  /** Waits; `sync` and, when all is synced, `append` may cut it short. */
  async #rest(milliseconds: number, mayWake: boolean): Promise<void> {
    if (mayWake && this.#hurried) return;
    const wake = new LinkedAbort(this.#closing.signal);
    if (mayWake) this.#wake = wake;
    await this.#clock.sleep(milliseconds, wake.signal);
    this.#wake = undefined;
    wake.release();
  }

  #tell(status: Status): void {
    const same = JSON.stringify(status) === JSON.stringify(this.#status);
    this.#status = status;
    if (same) return;
    try {
      this.#options.onStatus?.(status);
    } catch (error) {
      // A fault of the app, and not of what is under way: the runtime reports it as uncaught.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

/** The bytes of a text, all of which come back as the same text. */
function utf8Of(text: string): Bytes {
  if (!text.isWellFormed()) throw new TypeError("the text has a lone surrogate");
  return utf8(text);
}
