/** What an app does so that its state stands for its operations. */
import type { Bytes } from "../protocol/bytes.ts";
import type { Cursor } from "./types.ts";

/**
 * Saves and loads the state of an app, which stands for all entries that led to it: a new device need
 * not receive them, and a server with `RETENTION` may delete them.
 */
export interface SnapshotHandler {
  /**
   * Returns the state after exactly the entries that were handed to `receive` so far, own and others'.
   * It is not called while `receive` runs, and must not wait for the client. With `undefined`, no
   * snapshot is made now.
   */
  save(): SavedState | Promise<SavedState>;
  /**
   * Replaces the app's state by one that `save` has returned on some device of the user. What that does
   * not stand for is handed to `receive` afterwards, also if it was before. If it throws or rejects, it
   * is called again.
   *
   * @param cursors the positions after it, to be stored with it in the place of all others
   */
  load(state: Bytes, cursors: readonly Cursor[]): void | Promise<void>;
  /**
   * A snapshot is made once so many characters of operations have come since the last one, and more
   * than that has; 1,048,576 by default.
   */
  readonly every?: number;
}

/** What `save` returns: bytes, or a text that is stored as UTF-8. */
export type SavedState = Bytes | string | undefined;
