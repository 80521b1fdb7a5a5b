/** The status of documents, and its listeners. */
import type { Status } from "../types.ts";
import type { DocumentError } from "./errors.ts";

export class DocumentsStatus {
  #current: Status = { state: "pending", pending: 0, refused: 0, live: false };
  readonly #listeners = new Set<() => void>();
  readonly #onError: (error: unknown) => void;

  /** @param onError called with what a listener throws: it keeps nothing from the others */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  /** The status of the client, with what it does not know of: changes that are not stored yet. */
  get current(): Status {
    return this.#current;
  }

  /** Calls a listener when there is news, until the function that it returns is called. */
  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Takes the status of the client. Returns whether that of the documents is another one now.
   *
   * @param unstored how many documents have changes that are not stored yet
   * @param failure why they could not be stored, if that was tried
   */
  set(client: Status, unstored: number, failure?: DocumentError): boolean {
    const next = withUnstored(client, unstored, failure);
    if (JSON.stringify(next) === JSON.stringify(this.#current)) return false;
    this.#current = next;
    return true;
  }

  /** @param last called after the listeners */
  notify(last?: () => void): void {
    for (const listener of [...this.#listeners, last]) {
      try {
        listener?.();
      } catch (error) {
        this.#onError(error);
      }
    }
  }
}

function withUnstored(status: Status, count: number, failure?: DocumentError): Status {
  if (count === 0) return status;
  const pending = status.pending + count;
  // Whatever the client says: these changes are lost if the app is closed.
  if (failure !== undefined) {
    const code = failure.cause instanceof RangeError ? "too-large" : "device";
    return { ...status, state: "refused", pending, final: false, code, why: failure.message };
  }
  return status.state === "synced"
    ? { ...status, state: "pending", pending }
    : { ...status, pending };
}
