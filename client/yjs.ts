/** Documents of Yjs, encrypted and offline: the provider that its editors and bindings expect. */
import {
  applyUpdate,
  Doc,
  encodeStateAsUpdate,
  encodeStateVector,
  equalSnapshots,
  parseUpdateMeta,
  snapshot,
} from "yjs";
import { Deferred } from "./deferred.ts";
import type { DocumentSource, OpenDocument } from "./document-source.ts";
import { applyUpdates, joinUpdates } from "./yjs/updates.ts";

export { applyUpdates, mergeUpdates } from "./yjs/updates.ts";

/** Whether the server is reached: not whether a document can be edited, which it always can. */
export type YjsStatus = "connecting" | "connected" | "disconnected";

/** What a provider tells, with the arguments of its listeners. */
export interface YjsEvents {
  status: [event: { readonly status: YjsStatus }];
  /** True once everything that the server has is in the document, and false once it is out of reach. */
  synced: [isSynced: boolean];
  /** The same, by the name that bindings of `y-websocket` listen to. */
  sync: [isSynced: boolean];
}

type Listeners = { [Name in keyof YjsEvents]: Set<(...args: YjsEvents[Name]) => void> };

/** Keeps a document of Yjs on this device, and syncs it with the user's other devices. */
export class YjsProvider {
  readonly documents: DocumentSource;
  readonly name: string;
  readonly doc: Doc;
  readonly #loaded = new Deferred<this>();
  readonly #synced = new Deferred<this>();
  /**
   * Fulfilled once what is on this device is in the document; the server is not needed for that. Rejected
   * if the provider is destroyed before, or the documents are closed.
   */
  readonly whenLoaded = this.#loaded.promise;
  /** Fulfilled once what is on the server is in the document as well. Rejected as `whenLoaded` is. */
  readonly whenSynced = this.#synced.promise;
  #status: YjsStatus = "disconnected";
  #isOver = false;
  /** Whether it is connected, or about to be. */
  #isWanted = false;
  #open: OpenDocument | undefined;
  /** What listeners of the document have edited while it was being opened. */
  #held: Uint8Array[] = [];
  /** What the log has of a document that had content before: the rest is to be stored. */
  #stored: Doc | undefined;
  readonly #listeners: Listeners = {
    status: new Set(),
    synced: new Set(),
    sync: new Set(),
  };
  readonly #unsubscribe: () => void;

  /**
   * Throws an `Error` where the documents are closed.
   *
   * @param name names the document on all devices: 1 to 255 bytes in UTF-8. Throws a `RangeError` or a
   *   `TypeError` for another one
   * @param doc what it already contains is added to the document of this name
   */
  constructor(
    documents: DocumentSource,
    name: string,
    doc: Doc = new Doc(),
    { connect = true }: { readonly connect?: boolean } = {},
  ) {
    this.documents = documents;
    this.name = name;
    this.doc = doc;
    this.#unsubscribe = documents.subscribe(() => this.#update());
    documents.whenSynced.catch(this.#fail);
    doc.on("destroy", this.#onDestroy);
    try {
      if (connect) this.connect();
    } catch (error) {
      this.destroy();
      throw error;
    }
  }

  get status(): YjsStatus {
    return this.#status;
  }

  /** Whether everything that the server has is in the document, as far as it is reached. */
  get synced(): boolean {
    return this.#status === "connected";
  }

  /**
   * Brings what was stored meanwhile into the document, and stores what was edited meanwhile. Throws after
   * `destroy`, and where the documents are closed.
   */
  connect(): void {
    if (this.#isOver) throw new TypeError("the provider was destroyed: make a new one");
    if (this.#isWanted) return;
    const { doc } = this;
    if (doc.store.clients.size > 0) this.#stored = new Doc();
    this.#isWanted = true;
    doc.on("update", this.#onUpdate);
    try {
      this.#open = this.#opened();
    } catch (error) {
      this.disconnect();
      throw error;
    }
    for (const update of this.#held.splice(0)) this.#open.push(update);
    // What was brought into the document may have called for that.
    if (this.#isWanted) this.#update();
    else this.disconnect();
  }

  #opened(): OpenDocument {
    const { doc } = this;
    return this.documents.open(this.name, {
      apply: (updates) => {
        if (this.#stored !== undefined) applyUpdates(this.#stored, updates);
        applyUpdates(doc, updates, this);
      },
      merge: joinUpdates,
      shrink: (update) => stateSince(doc, update),
      state: () => encodeStateAsUpdate(doc),
    });
  }

  /** Leaves the document as it is from now until `connect`: it is neither stored nor synced. */
  disconnect(): void {
    this.#isWanted = false;
    this.doc.off("update", this.#onUpdate);
    this.#pushRest();
    this.#open?.close();
    this.#open = undefined;
    this.#stored = undefined;
    this.#update();
  }

  /** Ends the provider for good. What was edited while it was connected is stored; the document stays usable. */
  destroy(): void {
    this.#isOver = true;
    this.disconnect();
    this.#unsubscribe();
    this.#fail(new Error("the provider was destroyed"));
    this.doc.off("destroy", this.#onDestroy);
    for (const listeners of Object.values(this.#listeners)) listeners.clear();
  }

  /** Throws a `TypeError` for another event, such as one of a binding that needs what is not here. */
  on<Name extends keyof YjsEvents>(name: Name, listener: (...args: YjsEvents[Name]) => void): void {
    if (!Object.hasOwn(this.#listeners, name)) {
      const names = Object.keys(this.#listeners).join(", ");
      throw new TypeError(`a YjsProvider has no event "${name}", only ${names}`);
    }
    this.#listeners[name].add(listener);
  }

  off<Name extends keyof YjsEvents>(
    name: Name,
    listener: (...args: YjsEvents[Name]) => void,
  ): void {
    this.#listeners[name]?.delete(listener);
  }

  once<Name extends keyof YjsEvents>(
    name: Name,
    listener: (...args: YjsEvents[Name]) => void,
  ): void {
    const once = (...args: YjsEvents[Name]) => {
      this.off(name, once);
      listener(...args);
    };
    this.on(name, once);
  }

  readonly #onDestroy = () => this.destroy();

  /** Nothing is loaded any more. */
  readonly #fail = (reason: unknown) => {
    for (const { reject } of [this.#loaded, this.#synced]) reject(reason);
  };

  readonly #onUpdate = (update: Uint8Array, origin: unknown) => {
    if (origin === this) return;
    if (this.#stored !== undefined) applyUpdate(this.#stored, update);
    if (this.#open === undefined) this.#held.push(update);
    else this.#open.push(update);
  };

  #update(): void {
    const { isLoaded, isClosing } = this.documents;
    if (this.#open !== undefined && (isLoaded || isClosing)) this.#pushRest();
    if (this.#open !== undefined && isLoaded) this.#load();
    const before = this.#status;
    this.#status = this.#next();
    if (this.#status === before) return;
    this.#emit("status", { status: this.#status });
    if (this.synced) {
      this.#synced.resolve(this);
      this.doc.emit("sync", [true, this.doc]);
    }
    if (this.synced || before === "connected") {
      this.#emit("synced", this.synced);
      this.#emit("sync", this.synced);
    }
  }

  #next(): YjsStatus {
    const { isClosing, status } = this.documents;
    const { state } = status;
    const isAway = isClosing || state === "offline" || state === "refused";
    if (this.#open === undefined || isAway) return "disconnected";
    // Of a document that is being edited, something is always pending.
    return state === "synced" || this.synced ? "connected" : "connecting";
  }

  /** What the document has beyond what it was handed is to be stored. */
  #pushRest(): void {
    const stored = this.#stored;
    this.#stored = undefined;
    if (stored !== undefined && !equalSnapshots(snapshot(this.doc), snapshot(stored))) {
      this.#open?.push(encodeStateAsUpdate(this.doc, encodeStateVector(stored)));
    }
  }

  /** All that is on this device is in the document. */
  #load(): void {
    this.#loaded.resolve(this);
    if (!this.doc.isLoaded) this.doc.emit("load", [this.doc]);
  }

  #emit<Name extends keyof YjsEvents>(name: Name, ...args: YjsEvents[Name]): void {
    for (const listener of [...this.#listeners[name]]) {
      try {
        listener(...args);
      } catch (error) {
        // A fault of the app keeps nothing from the others: the runtime reports it as uncaught.
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

/** What a document has from the beginning of an update on, without the content of what is deleted. */
function stateSince(doc: Doc, update: Uint8Array): Uint8Array {
  // An undo manager keeps that content in the document itself.
  const copy = new Doc();
  const state = encodeStateAsUpdate(doc);
  applyUpdate(copy, state);
  const before = new Map([...parseUpdateMeta(state).to, ...parseUpdateMeta(update).from]);
  return encodeStateAsUpdate(copy, encodeStateVector(before));
}
