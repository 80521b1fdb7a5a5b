/** What an app embeds: one client of one user at one server. */
// What the parts read: what the device has received, and what the server sends.

import { ReceivedLog } from "./received-log.ts";
import { Transport } from "./transport.ts";

// The parts.

import type { Bytes } from "../protocol/bytes.ts";
import { INVITE_COMPONENT } from "../protocol/signature.ts";
import { AbandonedOutboxes } from "./abandoned.ts";
import { LinkedAbort } from "./abort.ts";
import { CatchUp } from "./catch-up.ts";
import { systemClock } from "./clock.ts";
import { Comparison } from "./comparison.ts";
import { Delivery } from "./delivery.ts";
import { devicesIn } from "./devices.ts";
import { bytesPerOperation } from "./draft.ts";
import { SyncEngine } from "./engine.ts";
import { entryData } from "./entry-data.ts";
import { Heads } from "./heads.ts";
import { Inbox } from "./inbox.ts";
import { KeptSnapshot } from "./kept-snapshot.ts";
import { LocalLog } from "./local-log.ts";
import { SyncLoop } from "./loop.ts";
import type { SyncOptions } from "./options.ts";
import { Outbox } from "./outbox.ts";
import { Positions } from "./positions.ts";
import { Refusals } from "./refusals.ts";
import { Sending } from "./sending.ts";
import { SnapshotMaker } from "./snapshot-maker.ts";
import { Snapshots } from "./snapshots.ts";
import { stateCode } from "./state-code.ts";
import type { StoreState } from "./stores/store.ts";
import { isCursor } from "./stores/stored-values.ts";
import type {
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
import { Writes } from "./writes.ts";

const DEFAULT_POLL_INTERVAL_MS = 30_000;
const DEFAULT_IDLE_TIMEOUT_MS = 60_000;

/**
 * Syncs operations with a server, one round of requests after the other, from `open` until `close`.
 */
export class SyncClient {
  readonly #parts: ReturnType<typeof assemble>;
  /** Fulfilled once the client is closed. */
  #closed: Promise<void> = Promise.resolve();

  private constructor(parts: ReturnType<typeof assemble>) {
    this.#parts = parts;
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
      return { client: new SyncClient(assemble(options, writes, outbox, state)), state };
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
    const { catchUp, delivery, heads, markDelivered } = this.#parts;
    const positions = cursors === undefined ? delivered : delivery.startAt(cursors);
    if (positions !== undefined) {
      await catchUp.startAt(positions, cursors !== undefined && own.length === 0);
      heads.begin();
    }
    await markDelivered();
  }

  /** The client id under which operations are created. It may change; see `onClientChange`. */
  get client(): string {
    return this.#parts.outbox.client;
  }

  /** Whether this installation has created an entry. */
  isOwn({ client, index }: OperationName): boolean {
    return this.#parts.outbox.created(client, index);
  }

  /** The current status; `onStatus` reports each change. */
  get status(): Status {
    return this.#parts.loop.status;
  }

  /**
   * Operations of this device that are larger than the server accepts. They are kept and tried again
   * every hour and at each start; what was appended after them is sent.
   */
  get tooLarge(): readonly OperationName[] {
    return this.#parts.loop.tooLarge;
  }

  /**
   * Gives up an operation that is too large for the server, with all entries in it, on which later ones may
   * build: see `SyncDocuments.drop`. Throws a `RangeError` for one that is not among `tooLarge`, and what the
   * store throws.
   */
  drop(operation: OperationName): Promise<void> {
    return this.#parts.loop.drop(operation);
  }

  /**
   * A short code for all that this device has from the server and has given to it, such as `7K3M-9QXA`.
   * Two devices that are synced show the same one, or the server does not show one of them everything.
   */
  async stateCode(): Promise<string> {
    return stateCode(await this.#parts.local.heads());
  }

  /**
   * The newest operation of each client id that this device has from the server or has given to it, those
   * of this device first, then those that came last. `withHeads` adds them to the text of the key.
   */
  heads(): Promise<readonly Head[]> {
    return this.#parts.local.heads();
  }

  /** The other client ids of the user that are in use: what this device has of each, and since when. */
  get devices(): readonly OtherDevice[] {
    return devicesIn(this.#parts.positions, this.client);
  }

  /** The last refusal of each client id whose operations are missing. */
  get refusals(): readonly Refusal[] {
    return this.#parts.loop.refusals;
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
    this.#parts.closing.signal.throwIfAborted();
    if (data.length === 0) return [];
    const { app, identity, loop, outbox } = this.#parts;
    const { maxBody } = loop;
    const entries = entryData(data, identity, maxBody);
    const limit = bytesPerOperation(maxBody);
    const created = await outbox.append(entries, limit, signal, app.gather);
    loop.onOwn();
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
    return this.#parts.local.entries(after);
  }

  /**
   * Resolves once everything appended before is acknowledged and everything on the server is
   * delivered; while the server cannot be reached, it waits. Cuts a pause short, also one that the
   * server asked for. Rejects with `ServerRejected`, with what `receive` or the store throws, and
   * with the reason of the signal or of the closed client.
   */
  sync(signal?: AbortSignal): Promise<void> {
    return this.#parts.loop.sync(signal);
  }

  /**
   * Asks the server to erase everything it stores of the user, for all devices, and closes this
   * client. Throws `ServerRejected` or `ServerUnavailable`: ask again until it succeeds.
   */
  async erase(signal: AbortSignal = this.#parts.closing.signal): Promise<void> {
    await this.#parts.transport.erase(signal);
    await this.close();
  }

  /** Aborts the round under way and closes the store. What was not sent is sent after reopening. */
  async close(): Promise<void> {
    this.#parts.closing.abort(new DOMException("the client was closed", "AbortError"));
    await this.#closed;
  }

  async #run(): Promise<void> {
    const { delivery, loop, outbox, sending } = this.#parts;
    await loop.run();
    await sending.close();
    await delivery.end();
    try {
      await outbox.recordDelivered();
    } finally {
      await outbox.close();
    }
  }
}

/** Makes the parts of a client, each of what it needs of the others. */
function assemble(options: SyncOptions, writes: Writes, outbox: Outbox, state: StoreState) {
  const { identity, store, clock = systemClock, random = Math.random } = options;
  const { idleTimeout = DEFAULT_IDLE_TIMEOUT_MS, sign = true } = options;
  const transport = new Transport({
    url: options.url,
    identity,
    clock,
    fetch: options.fetch ?? ((request, init) => fetch(request, init)),
    sign,
    fields: options.invite === undefined ? {} : { [INVITE_COMPONENT]: options.invite },
    idleTimeout,
  });
  const closing = new LinkedAbort(options.signal);
  const { signal } = closing;
  const verifier = new RunVerifier(identity);
  const base = {
    ...{ app: options, identity, store, clock, random, transport, verifier, writes, signal },
    log: new ReceivedLog(store, identity, verifier, state, writes),
    kept: new KeptSnapshot(store, verifier, writes, state),
    positions: new Positions(state.cursors),
    outbox,
  };
  const { kept, positions } = base;
  const refusals = new Refusals(base);
  const heads = new Heads({ ...base, refusals });
  outbox.heads = heads;
  /** Own entries count as delivered under the client ids that they have now. */
  const markDelivered = async () => {
    const cursors = await outbox.cursors();
    positions.setCreated(cursors, await outbox.continued());
    for (const { client } of cursors) refusals.resume(client);
  };
  const parts = { ...base, refusals, heads, delivery: new Delivery(base), markDelivered };
  const comparison = new Comparison(parts);
  const catchUp = new CatchUp({
    ...parts,
    leads: () => !loop.follows,
    load: () => snapshots.load(),
  });
  const snapshots = new Snapshots({
    ...parts,
    comparison,
    catchUp,
    giveUp: (client) => engine.giveUp(client),
  });
  const inbox = new Inbox({ ...parts, comparison, catchUp, snapshots });
  const sending = new Sending({ ...parts, abandoned: new AbandonedOutboxes(store, identity) });
  const engine = new SyncEngine({
    ...parts,
    sending,
    inbox,
    catchUp,
    snapshots,
    maker: new SnapshotMaker(parts),
    pollInterval: options.pollInterval ?? DEFAULT_POLL_INTERVAL_MS,
    onProgress: (received, of) => loop.showProgress(received, of),
  });
  writes.onChange = async (changed) => {
    kept.take(changed);
    await outbox.take(changed);
    catchUp.take(changed);
    await markDelivered();
  };
  const loop: SyncLoop = new SyncLoop({ ...parts, rounds: engine, sending });
  return {
    ...parts,
    closing,
    catchUp,
    sending,
    loop,
    local: new LocalLog({ ...parts, comparison }),
  };
}
