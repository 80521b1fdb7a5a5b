/** What an app embeds: one client of one user at one server. */
import type { Bytes } from "../protocol/bytes.ts";
import { INVITE_COMPONENT } from "../protocol/signature.ts";
import { LinkedAbort } from "./abort.ts";
import { systemClock } from "./clock.ts";
import { Delivery } from "./delivery.ts";
import { devicesIn } from "./devices.ts";
import { bytesPerOperation } from "./draft.ts";
import { SyncEngine } from "./engine.ts";
import { entryData } from "./entry-data.ts";
import { Inbox } from "./inbox.ts";
import { KeptSnapshot } from "./kept-snapshot.ts";
import { LocalLog } from "./local-log.ts";
import type { NextStep } from "./next-step.ts";
import type { SyncOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import type { Outcome } from "./outcome.ts";
import { Pause } from "./pause.ts";
import { ReceivedLog } from "./received-log.ts";
import { SnapshotMaker } from "./snapshot-maker.ts";
import { Snapshots } from "./snapshots.ts";
import { stateCode } from "./state-code.ts";
import type { StoreState } from "./stores/store.ts";
import { isCursor } from "./stores/stored-values.ts";
import type { Following, Request } from "./stores/tabs.ts";
import { Transport } from "./transport.ts";
import type {
  Clock,
  Created,
  Cursor,
  Entry,
  Head,
  OperationName,
  OtherDevice,
  Refusal,
  Status,
} from "./types.ts";
import { RunVerifier } from "./verify.ts";
import { type Waiter, Waiters } from "./waiters.ts";
import { Writes } from "./writes.ts";

const DEFAULT_POLL_INTERVAL_MS = 30_000;
const DEFAULT_IDLE_TIMEOUT_MS = 60_000;
/** The status says of an answer with so many operations how many of them have come. */
const LONG_ANSWER = 1000;

/**
 * Syncs operations with a server, one round of requests after the other, from `open` until `close`.
 */
export class SyncClient {
  readonly #options: SyncOptions;
  readonly #clock: Clock;
  readonly #transport: Transport;
  readonly #outbox: Outbox;
  readonly #inbox: Inbox;
  readonly #delivery: Delivery;
  readonly #log: LocalLog;
  readonly #engine: SyncEngine;
  readonly #closing: LinkedAbort;
  readonly #pause: Pause;
  readonly #writes: Writes;
  /** Where other tabs may have the store open. */
  readonly #following: Following | undefined;
  /** The calls of `sync` that wait. */
  readonly #calls = new Waiters();
  /** Fulfilled once the client is closed. */
  #closed: Promise<void> = Promise.resolve();
  #status: Status;
  /** Whether `sync` was called since the round began. */
  #syncRequested = false;
  /** Whether the last round left nothing to do. */
  #isIdle = false;

  private constructor(options: SyncOptions, writes: Writes, outbox: Outbox, state: StoreState) {
    const { identity, store, clock = systemClock } = options;
    const verifier = new RunVerifier(identity);
    const log = new ReceivedLog(store, identity, verifier, state, writes);
    this.#options = options;
    this.#writes = writes;
    this.#clock = clock;
    this.#outbox = outbox;
    this.#transport = new Transport({
      url: options.url,
      identity,
      clock,
      fetch: options.fetch ?? ((request, init) => fetch(request, init)),
      sign: options.sign ?? true,
      fields: options.invite === undefined ? {} : { [INVITE_COMPONENT]: options.invite },
      idleTimeout: options.idleTimeout ?? DEFAULT_IDLE_TIMEOUT_MS,
    });
    this.#closing = new LinkedAbort(options.signal);
    const { signal } = this.#closing;
    const delivery = new Delivery({ app: options, outbox, signal });
    this.#delivery = delivery;
    const kept = new KeptSnapshot(store, verifier, writes, state);
    const inbox = new Inbox(
      {
        app: options,
        log,
        outbox,
        verifier,
        clock,
        delivery,
        leads: () => !this.#follows,
        load: () => snapshots.load(),
        onSnapshot: (line) => snapshots.note(line),
        isCovered: (operation) => snapshots.isCovered(operation),
        canLoad: () => options.snapshot !== undefined && kept.name !== undefined,
      },
      state.cursors,
    );
    this.#inbox = inbox;
    const random = options.random ?? Math.random;
    const parts = { app: options, kept, log, outbox, inbox, delivery, verifier, clock };
    const snapshots = new Snapshots({ ...parts, giveUp: (client) => this.#engine.giveUp(client) });
    const maker = new SnapshotMaker({ ...parts, transport: this.#transport, random });
    writes.onChange = async (changed) => {
      kept.take(changed);
      await outbox.take(changed);
      this.#inbox.take(changed);
      await this.#markDelivered();
    };
    outbox.heads = this.#inbox.heads;
    this.#log = new LocalLog(outbox, log, inbox, kept);
    this.#engine = new SyncEngine({
      app: options,
      identity,
      store,
      clock,
      transport: this.#transport,
      verifier,
      outbox,
      inbox: this.#inbox,
      delivery,
      writes,
      snapshots,
      maker,
      pollInterval: options.pollInterval ?? DEFAULT_POLL_INTERVAL_MS,
      random,
      onProgress: (received, of) => this.#showProgress(received, of),
    });
    this.#pause = new Pause(signal);
    this.#status = { state: "pending", pending: this.#engine.pending, refused: 0, live: false };
    const tab = {
      signal,
      settled: () => writes.settled(),
      onChange: () => void this.#takeChanges(),
      onWake: () => this.#pause.cut(),
      onNews: () => this.#isIdle && this.#pause.cut(),
      answer: ({ drop }: Request) => (drop === undefined ? this.sync() : this.drop(drop)),
    };
    this.#following = store.shared?.join(tab, options);
  }

  /**
   * Continues with what the store holds, and starts to sync. Throws what the store throws, such as
   * `StoreDamaged`, and a `TypeError` for a URL that is not one of http or https, and for `cursors` that
   * the app has not got from a client of this version.
   */
  static async open(options: SyncOptions): Promise<SyncClient> {
    const { store, identity, cursors } = options;
    if (cursors?.every(isCursor) === false) throw new TypeError("one of the cursors is none");
    const writes = new Writes(store);
    const { client, state } = await writes.run(async () => {
      const state = await (store.shared?.reload() ?? store.load());
      const outbox = await Outbox.open(store, identity, state, writes);
      return { client: new SyncClient(options, writes, outbox, state), state };
    });
    await client.#startAt(cursors, state);
    client.#closed = client.#run();
    return client;
  }

  /** @param cursors the cursors that the app has stored; `undefined` if it stores none */
  async #startAt(
    cursors: readonly Cursor[] | undefined,
    { own, delivered }: StoreState,
  ): Promise<void> {
    if (cursors !== undefined) {
      const others = this.#delivery.startAt(cursors);
      await this.#inbox.startAt(others, own.length === 0);
    } else if (delivered !== undefined) await this.#inbox.startAt(delivered, false);
    await this.#markDelivered();
  }

  /** The client id under which operations are created. It may change; see `onClientChange`. */
  get client(): string {
    return this.#outbox.client;
  }

  /** Whether this installation has created an entry. */
  isOwn({ client, index }: OperationName): boolean {
    return this.#outbox.created(client, index);
  }

  /** The current status; `onStatus` reports each change. */
  get status(): Status {
    return this.#status;
  }

  /**
   * Operations of this device that are larger than the server accepts. They are kept and tried again
   * every hour and at each start; what was appended after them is sent.
   */
  get tooLarge(): readonly OperationName[] {
    return this.#following?.news?.tooLarge ?? this.#engine.tooLarge;
  }

  /**
   * Gives up an operation that is too large for the server, with all entries in it. Throws a
   * `RangeError` for one that is not among `tooLarge`, and what the store throws.
   */
  async drop(operation: OperationName): Promise<void> {
    if (this.#follows) return this.#following?.tabs.ask({ drop: operation });
    if (!(await this.#engine.drop(operation))) {
      throw new RangeError(`operation ${operation.index} of ${operation.client} is not too large`);
    }
    this.#pause.cut();
  }

  /**
   * A short code for all that this device has from the server and has given to it, such as `7K3M-9QXA`.
   * Two devices that are synced show the same one, or the server does not show one of them everything.
   */
  async stateCode(): Promise<string> {
    return stateCode(await this.#log.heads());
  }

  /**
   * The newest operation of each client id that this device has from the server or has given to it, those
   * of this device first, then those that came last. `withHeads` adds them to the text of the key.
   */
  heads(): Promise<readonly Head[]> {
    return this.#log.heads();
  }

  /** The other client ids of the user that are in use: what this device has of each, and since when. */
  get devices(): readonly OtherDevice[] {
    return devicesIn(this.#inbox.positions, this.client);
  }

  /** The last refusal of each client id whose operations are missing. */
  get refusals(): readonly Refusal[] {
    return this.#following?.news?.refusals ?? this.#inbox.refusals;
  }

  /**
   * Creates an entry. Returns its place once it is encrypted and durable on this device. It is delivered
   * to `receive` then, and sent as soon as the server can be reached, in one operation with what else
   * waits.
   *
   * Throws a `TypeError` for a text with a lone surrogate, which UTF-8 cannot represent, a
   * `RangeError` for data that is larger than the server accepts, as far as it has said how much that
   * is, the reason of the signal or of the closed client, and what the store throws. Nothing is
   * created then.
   */
  async append(data: string | Bytes, signal?: AbortSignal): Promise<Created> {
    const [created] = await this.appendAll([data], signal);
    if (created === undefined) throw new TypeError("there is no data");
    return created;
  }

  /** Creates several entries with one durable write: faster than one by one. See `append`. */
  async appendAll(
    data: readonly (string | Bytes)[],
    signal?: AbortSignal,
  ): Promise<readonly Created[]> {
    this.#closing.signal.throwIfAborted();
    if (data.length === 0) return [];
    const { maxBody } = this.#following?.news ?? this.#transport;
    const entries = entryData(data, this.#options.identity, maxBody);
    const created = await this.#outbox.append(entries, bytesPerOperation(maxBody), signal);
    this.#onOwn();
    return created;
  }

  /**
   * Reads all entries that are on this device, own and others', decrypted, in pieces: those of each
   * client id in the order of their creation, and each once. Throws `StoreDamaged` where one cannot
   * be read; the next `sync` brings those of other installations from the server.
   *
   * @param after of client ids that are not to be read from the beginning: the last entry left out
   */
  entries(after: readonly Created[] = []): AsyncGenerator<Entry[], void, void> {
    return this.#log.entries(after);
  }

  /**
   * Resolves once everything appended before is acknowledged and everything on the server is
   * delivered; while the server cannot be reached, it waits. Cuts a pause short, also one that the
   * server asked for. Rejects with `ServerRejected`, with what `receive` or the store throws, and
   * with the reason of the signal or of the closed client.
   */
  sync(signal?: AbortSignal): Promise<void> {
    const synced = this.#calls.add(signal);
    this.#syncRequested = true;
    this.#pause.cut();
    return synced;
  }

  /**
   * Asks the server to erase everything it stores of the user, for all devices, and closes this
   * client. Throws `ServerRejected` or `ServerUnavailable`: ask again until it succeeds.
   */
  async erase(signal: AbortSignal = this.#closing.signal): Promise<void> {
    await this.#transport.erase(signal);
    await this.close();
  }

  /** Aborts the round under way and closes the store. What was not sent is sent after reopening. */
  async close(): Promise<void> {
    this.#closing.abort(new DOMException("the client was closed", "AbortError"));
    await this.#closed;
  }

  /** Whether another tab leads, and talks to the server for this one. */
  get #follows(): boolean {
    return this.#following?.tabs.leads === false;
  }

  /** There are own entries that were not there before. */
  #onOwn(): void {
    // What fails is tried again, and reported, by the next round.
    this.#delivery.own().catch(() => this.#pause.cut());
    const { pending } = this.#engine;
    if (this.#status.state === "synced") {
      this.#setStatus({ ...this.#status, state: "pending", pending });
    } else this.#setStatus({ ...this.#status, pending });
    if (this.#isIdle && (this.#follows || !this.#engine.isHeld)) this.#pause.cut();
  }

  /** Takes what another tab has changed in the store. What fails, the next round reports. */
  async #takeChanges(): Promise<void> {
    const isNew = await this.#writes.refresh().catch(() => true);
    if (isNew && !this.#closing.signal.aborted) this.#onOwn();
  }

  async #markDelivered(): Promise<void> {
    const outbox = this.#outbox;
    this.#inbox.markDelivered(await outbox.cursors(), await outbox.continued());
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing;
    let waits = false;
    while (!signal.aborted) {
      // Now, and not when `sync` was called: the round then under way may have put appends off.
      if (this.#syncRequested) this.#engine.requestSync();
      // A round that follows on a cut does not wait: the next append would cut it short as well.
      const waiting: boolean = waits && !this.#pause.isCut;
      this.#syncRequested = false;
      this.#pause.isCut = false;
      const calls = this.#calls.now();
      const following = this.#follows ? this.#following : undefined;
      if (following !== undefined) this.#isIdle = true;
      const outcome: Outcome | undefined = await (following?.round(calls, this.#engine) ??
        (waiting ? this.#waitForNews() : this.#engine.round(signal)));
      waits = outcome?.kind === "complete" && following === undefined;
      if (outcome === undefined) continue;
      if (outcome.kind === "failed" && signal.aborted) break;
      // Nothing is awaited up to the pause: an append in between would not find a pause to end.
      if (following !== undefined && outcome.kind !== "failed") {
        this.#setStatus(following.status(this.#engine.pending));
        await this.#wait(Infinity, false);
        continue;
      }
      const next = this.#engine.next(outcome);
      this.#isIdle = outcome.kind !== "failed";
      this.#setStatus({ ...next.status, refused: this.#inbox.refused, live: this.#engine.live });
      this.#settle(calls, next);
      const isOver =
        outcome.kind !== "incomplete" && this.#engine.isDone && this.#calls.now().length === 0;
      // What is held is tried again later, by whichever tab leads.
      const rests = outcome.kind === "failed" || (isOver && !this.#engine.isHeld);
      if (rests) this.#following?.tabs.rest();
      if (next.pause !== undefined) await this.#wait(next.pause, isFinal(next));
    }
    this.#calls.end(signal.reason);
    await this.#engine.close();
    await this.#delivery.end();
    try {
      await this.#outbox.recordDelivered();
    } finally {
      await this.#outbox.close();
    }
  }

  /** Ends the calls of `sync` that waited when a round began. */
  #settle(waiting: readonly Waiter[], next: NextStep): void {
    const { calls } = next;
    if (calls === "wait") return;
    if (calls === "resolve") {
      for (const { resolve } of waiting) resolve();
      return;
    }
    if (isFinal(next)) this.#calls.end(calls.reject);
    for (const { reject } of waiting) reject(calls.reject);
  }

  /** Waits until `sync` is called at the latest; after a final refusal, until the client is closed. */
  async #wait(milliseconds: number, final: boolean): Promise<void> {
    const sleep = (signal: AbortSignal) => this.#clock.sleep(milliseconds, signal);
    if (final) await sleep(this.#closing.signal);
    else if (!this.#pause.isCut) await this.#pause.during(sleep);
  }

  /** A round that waits for news; `undefined` if it was cut short, before its answer began. */
  #waitForNews(): Promise<Outcome | undefined> {
    return this.#pause.during((signal) => this.#engine.round(signal, () => this.#pause.settle()));
  }

  /** Of an answer that takes a while. */
  #showProgress(received: number, of: number): void {
    if (of >= LONG_ANSWER) this.#setStatus({ ...this.#status, received, of });
  }

  #setStatus(status: Status): void {
    const same = JSON.stringify(status) === JSON.stringify(this.#status);
    this.#status = status;
    const { refusals, tooLarge } = this;
    this.#following?.tell({ status, refusals, tooLarge, maxBody: this.#transport.maxBody });
    if (same) return;
    try {
      this.#options.onStatus?.(status);
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
