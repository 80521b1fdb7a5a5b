/** Many named documents in the log of one user: what bindings to other libraries stand on. */
import type { Bytes } from "../protocol/bytes.ts";
import { LinkedAbort } from "./abort.ts";
import { SyncClient } from "./client.ts";
import { systemClock } from "./clock.ts";
import { Deferred } from "./deferred.ts";
import type {
  DocumentHandler,
  DocumentSource,
  DocumentUpdate,
  OpenDocument,
} from "./document-source.ts";
import { Batches } from "./documents/batches.ts";
import { Document } from "./documents/document.ts";
import { Echo } from "./documents/echo.ts";
import { type NamedUpdate, updateOf } from "./documents/entry.ts";
import { closed, failedOn, notStored, unknownEntries } from "./documents/errors.ts";
import type { DocumentsOptions } from "./documents/options.ts";
import { replacementOf } from "./documents/replacement.ts";
import { stateOf, updatesIn } from "./documents/state.ts";
import { DocumentsStatus } from "./documents/status.ts";
import type { Entry, OperationName, Status } from "./types.ts";

export type {
  DocumentHandler,
  DocumentSource,
  DocumentUpdate,
  OpenDocument,
  StatusSource,
} from "./document-source.ts";
export type { NamedUpdate } from "./documents/entry.ts";
export { DocumentError } from "./documents/errors.ts";
export type { DocumentsOptions } from "./documents/options.ts";

const DEFAULT_BATCH_MS = 200;
const DEFAULT_SNAPSHOT_EVERY = 1024 * 1024;

/** Syncs any number of named documents through one client. */
export class SyncDocuments implements DocumentSource {
  readonly #options: DocumentsOptions;
  readonly #documents = new Map<string, Document>();
  readonly #echo = new Echo();
  readonly #status = new DocumentsStatus((error) => this.#report(error));
  readonly #closing: LinkedAbort;
  readonly #batches: Batches;
  #client: SyncClient | undefined;
  #isLoaded = false;
  #isClosing = false;
  #hasUnknown = false;
  readonly #loaded = new Deferred();
  readonly #synced = new Deferred();
  readonly #begunToClose = new Deferred();
  readonly whenLoaded = this.#loaded.promise;
  readonly whenSynced = this.#synced.promise;
  readonly whenClosing = this.#begunToClose.promise;

  private constructor(options: DocumentsOptions) {
    this.#options = options;
    this.#closing = new LinkedAbort(options.signal);
    this.#closing.signal.addEventListener("abort", () => this.#changed());
    this.#batches = new Batches({
      clock: options.clock ?? systemClock,
      signal: this.#closing.signal,
      documents: () => [...this.#documents.values()],
      append: (entries, onStored) => this.#append(entries, onStored),
      onChange: () => this.#changed(),
      onError: (error) => this.#report(error),
    });
  }

  /**
   * Continues with what the store holds, and starts to sync. Throws what `SyncClient.open` throws. An
   * app opens one for each user, and all documents by it.
   */
  static async open(options: DocumentsOptions): Promise<SyncDocuments> {
    const documents = new SyncDocuments(options);
    documents.#client = await SyncClient.open({
      ...options,
      gather: options.batch ?? DEFAULT_BATCH_MS,
      // What is not open is in memory alone, so each start gets everything from the device's log.
      cursors: [],
      snapshot: {
        every: options.snapshotEvery ?? DEFAULT_SNAPSHOT_EVERY,
        save: () => documents.#save(),
        load: (state) => documents.#load(updatesIn(state)),
      },
      receive: (entries, _, isOwn) => documents.#receive(entries, isOwn),
      onStatus: () => documents.#changed(),
      onDelivered: () => {
        documents.#onLoaded();
        options.onDelivered?.();
      },
      onClientChange: (change) => {
        documents.#echo.change(change);
        options.onClientChange?.(change);
      },
    });
    documents.#changed();
    return documents;
  }

  /** The client that has the log: for `sync()`, `stateCode()`, `devices` and what else it does. */
  get client(): SyncClient {
    if (this.#client === undefined) throw closed();
    return this.#client;
  }

  /**
   * The status of the client; changes that are not stored yet count as pending. It is `refused` while there
   * are some that could not be stored.
   */
  get status(): Status {
    return this.#status.current;
  }

  get isLoaded(): boolean {
    return this.#isLoaded;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** The names of all documents that have an update, whether they are open or not. */
  get names(): string[] {
    return [...this.#documents.values()].filter((one) => !one.isEmpty).map(({ name }) => name);
  }

  subscribe(listener: () => void): () => void {
    return this.#status.subscribe(listener);
  }

  open(name: string, handler: DocumentHandler): OpenDocument {
    if (this.#closing.signal.aborted) throw closed();
    return this.#document(name).open(handler, () => this.#onPush(name));
  }

  /**
   * Stores an update of this app at once, with what was pushed, and hands it to all handlers of the
   * document. Unlike one that was pushed, nothing is kept of it where that fails: it is not tried again.
   * Throws what `SyncClient.append` throws.
   */
  store(name: string, update: Uint8Array): Promise<void> {
    return this.#batches.store(this.#document(name), update.slice());
  }

  /** Resolves once what was pushed is stored. Throws a `DocumentError` if that fails. */
  flush(): Promise<void> {
    return this.#batches.flush();
  }

  /** Stores what was pushed, and closes the client, even if storing fails: it throws then as `flush`. */
  async close(): Promise<void> {
    this.#isClosing = true;
    this.#begunToClose.resolve();
    this.#status.notify();
    await this.whenClosing;
    try {
      await this.flush();
    } finally {
      this.#closing.abort();
      await this.client.close();
    }
  }

  /**
   * Gives up an operation of `client.tooLarge`, and stores first what its documents, which have to be open,
   * have in its place: without what was deleted since. Throws a `RangeError` for another operation, and
   * where what takes its place is too large, and what the store throws: then it is not given up.
   */
  async drop(operation: OperationName): Promise<void> {
    const entries = await replacementOf(operation, this.client, (data) => {
      const named = updateOf(data);
      return named === undefined ? data : this.#document(named.name).smaller(named.update);
    });
    await this.#append(entries);
    await this.client.drop(operation);
  }

  /** @param onStored called before the entries come from the log */
  #append(entries: readonly Bytes[], onStored?: () => void): Promise<void> {
    return this.#echo.append(async () => {
      const places = await this.client.appendAll(entries);
      onStored?.();
      return places;
    });
  }

  #document(name: string): Document {
    let document = this.#documents.get(name);
    if (document === undefined) {
      document = new Document(name, (error) => this.#report(failedOn(name, error)));
      this.#documents.set(name, document);
    }
    return document;
  }

  async #receive(entries: readonly Entry[], isOwn: boolean): Promise<void> {
    const fresh = new Set(isOwn ? await this.#echo.without(entries) : entries);
    const updates: NamedUpdate[] = [];
    const others: Entry[] = [];
    const arrived: DocumentUpdate[] = [];
    for (const entry of entries) {
      const named = updateOf(entry.data) ?? this.#options.adopt?.(entry);
      if (named === undefined) others.push(entry);
      else {
        if (fresh.has(entry)) updates.push(named);
        arrived.push({ name: named.name, entry });
      }
    }
    if (others.length > 0) await this.#receiveOthers(others, isOwn);
    this.#take(updates);
    if (arrived.length > 0) this.#options.onUpdates?.(arrived, isOwn);
  }

  /** Takes the updates of a snapshot. */
  #load(updates: readonly NamedUpdate[]): void {
    this.#take(updates);
    this.#options.onUpdates?.(
      updates.map(({ name }) => ({ name })),
      false,
    );
  }

  #take(updates: readonly NamedUpdate[]): void {
    const lists = new Map<string, Bytes[]>();
    for (const { name, update } of updates) {
      const list = lists.get(name) ?? [];
      list.push(update);
      lists.set(name, list);
    }
    for (const [name, list] of lists) this.#document(name).receive(list);
  }

  /** The state of all documents; `undefined` where it is not what the log has. */
  #save(): Bytes | undefined {
    if (this.#hasUnknown || this.#options.receive !== undefined) return undefined;
    const documents = [...this.#documents.values()];
    // What is only in memory may never be stored here, but other devices would keep it from the snapshot.
    if (documents.some(({ isPending }) => isPending)) return undefined;
    const { merge } = this.#options;
    return stateOf(documents.flatMap((document) => document.state(merge)));
  }

  async #receiveOthers(entries: readonly Entry[], isOwn: boolean): Promise<void> {
    if (this.#options.receive !== undefined) await this.#options.receive(entries, isOwn);
    else if (!this.#hasUnknown) this.#report(unknownEntries());
    this.#hasUnknown = true;
  }

  #onLoaded(): void {
    if (this.#isLoaded) return;
    this.#isLoaded = true;
    this.#loaded.resolve();
    this.#status.notify();
  }

  #onPush(name: string): void {
    if (!this.#closing.signal.aborted) this.#batches.pushed();
    else this.#report(notStored([name], closed()));
  }

  /** The status of the client, or what is not stored, may have changed. */
  #changed(): void {
    let status = this.#client?.status;
    if (status === undefined) return;
    if (this.#closing.signal.aborted) {
      const error = closed();
      for (const { reject } of [this.#loaded, this.#synced]) reject(error);
      status = { ...status, state: "offline", live: false, code: "offline", why: error.message };
    }
    const unstored = [...this.#documents.values()].filter(({ isPending }) => isPending).length;
    const hasChanged = this.#status.set(status, unstored, this.#batches.failure);
    const { current } = this.#status;
    if (current.state === "synced") this.#synced.resolve();
    if (hasChanged) this.#status.notify(() => this.#options.onStatus?.(current));
  }

  #report(error: unknown): void {
    const { onError } = this.#options;
    if (onError !== undefined) onError(error);
    else {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}
