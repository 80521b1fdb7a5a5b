/** What bindings to other libraries stand on; `SyncDocuments` is it. */
import type { Bytes } from "../protocol/bytes.ts";
import type { Created, Status } from "./types.ts";

/** What an app, or a binding to a library such as Yjs, does with the updates of a document. */
export interface DocumentHandler {
  /**
   * Applies updates that were not pushed to this handler: those that are there when the document is
   * opened, at once, and later ones as they come. Those of one device are in order; those of several come
   * in any order.
   */
  apply(updates: readonly Bytes[]): void;
  /** Joins updates into one that does the same. Without it, each update is an entry of its own. */
  merge?(updates: readonly Bytes[]): Uint8Array;
  /**
   * Makes an update that was pushed smaller, as it is too large for the server: what it returns does the
   * same on other devices, with what was pushed since, and without what has been deleted since.
   */
  shrink?(update: Bytes): Uint8Array;
  /** An update that stands for everything that was applied and pushed. */
  state?(): Uint8Array;
}

/** A document that is open. */
export interface OpenDocument {
  readonly name: string;
  /** Takes an update of this app. It is stored with the next batch, and handed to other handlers at once. */
  push(update: Uint8Array): void;
  /** Ends the calls of the handler. What was pushed is stored all the same. */
  close(): void;
}

/** An update of a document. */
export interface DocumentUpdate {
  /** The name of the document. */
  readonly name: string;
  /** The place of its entry; `undefined` if it came with a snapshot. */
  readonly entry?: Created;
}

/** A status, and how to learn of the next one. */
export interface StatusSource {
  readonly status: Status;
  /** Calls a listener when the status changes, until the function that it returns is called. */
  subscribe(listener: () => void): () => void;
}

/** What a binding to another library needs of `SyncDocuments`. */
export interface DocumentSource extends StatusSource {
  /** Whether all that is on this device was handed to the documents that are open. */
  readonly isLoaded: boolean;
  /** Whether they are being closed, or are. */
  readonly isClosing: boolean;
  /**
   * Fulfilled once all that is on this device was handed to the documents that are open. Rejected if they
   * are closed before.
   */
  readonly whenLoaded: Promise<void>;
  /**
   * Fulfilled once everything on the server was handed to them as well, and everything here is there.
   * Rejected as `whenLoaded` is.
   */
  readonly whenSynced: Promise<void>;
  /** Fulfilled when they begin to close: bindings push what they have held back. */
  readonly whenClosing: Promise<void>;
  /**
   * Opens a document, which need not exist yet. The handler gets all updates that are there at once, and
   * the others as they come. A document can be open several times. Throws an `Error` where the documents are
   * closed.
   *
   * @param name 1 to 255 bytes in UTF-8. Throws a `RangeError` or a `TypeError` for another one
   */
  open(name: string, handler: DocumentHandler): OpenDocument;
}
