/** The status of documents, and who is told when it changes. */
import type { Status } from "../types.ts";

export class DocumentsStatus {
  #current: Status = { state: "pending", pending: 0, refused: 0, live: false };
  readonly #listeners = new Set<() => void>();

  /** The status of the client; changes that are not stored yet count as pending. */
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
   */
  set(client: Status, unstored: number): boolean {
    const next = withPending(client, unstored);
    if (JSON.stringify(next) === JSON.stringify(this.#current)) return false;
    this.#current = next;
    return true;
  }

  notify(): void {
    for (const listener of this.#listeners) listener();
  }
}

/** @param count of entries that the client does not know of yet */
function withPending(status: Status, count: number): Status {
  if (count === 0) return status;
  if (status.state !== "synced") return { ...status, pending: status.pending + count };
  return { ...status, state: "pending", pending: count };
}
