/** What an app opens documents with. */
import type { Bytes } from "../../protocol/bytes.ts";
import type { DocumentUpdate } from "../document-source.ts";
import type { SyncOptions } from "../options.ts";
import type { Entry } from "../types.ts";
import type { NamedUpdate } from "./entry.ts";

/** What `SyncDocuments.open` needs: the options of a `SyncClient`, and these. */
export interface DocumentsOptions
  extends Omit<SyncOptions, "receive" | "cursors" | "gather" | "snapshot"> {
  /** For how many milliseconds updates are gathered before they are sent; they are stored at once. 200 by default. */
  readonly batch?: number;
  /**
   * Joins the updates of a document that is not open into one, for snapshots: `mergeUpdates` of `/yjs`, where
   * all documents of the user are of Yjs. They stay apart where it returns nothing.
   */
  readonly merge?:
    | ((updates: readonly Bytes[], name: string) => Uint8Array | undefined)
    | undefined;
  /**
   * After how many characters of operations a snapshot of all documents is made, at least; 1,048,576 by
   * default. With `Infinity`, none is.
   */
  readonly snapshotEvery?: number;
  /**
   * Makes an update of an entry that is none, such as one that the app wrote before it had documents: the
   * same on all devices, as each makes it by itself. It is in snapshots then. `undefined` for an entry that
   * the app does not know.
   */
  readonly adopt?: (entry: Entry) => NamedUpdate | undefined;
  /**
   * Called with what has come into the documents, open or not, and with what this app has stored: after
   * the handlers of those that are open.
   *
   * @param isOwn whether it was appended here
   */
  readonly onUpdates?: (updates: readonly DocumentUpdate[], isOwn: boolean) => void;
  /** Handles entries that are no updates of documents, if the app appends such: then no snapshot is made. */
  readonly receive?: (entries: readonly Entry[], isOwn: boolean) => void | Promise<void>;
  /**
   * Called with a `DocumentError` when an update is not applied or not stored. By default, the runtime
   * reports it as uncaught.
   */
  readonly onError?: (error: unknown) => void;
}
