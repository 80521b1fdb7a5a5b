import { Outbox } from "./outbox.ts";
import type { Store } from "./stores/store.ts";
import type { Identity } from "./types.ts";

/** The outboxes of stores that other tabs or processes left with operations to send. */
export class AbandonedOutboxes {
  readonly #store: Store;
  readonly #identity: Identity;
  readonly #open = new Set<Outbox>();

  constructor(store: Store, identity: Identity) {
    this.#store = store;
    this.#identity = identity;
  }

  /** Those that are open, until they are empty. */
  get all(): readonly Outbox[] {
    return [...this.#open];
  }

  /** Opens those that are not open anywhere. Returns why not all could be: `undefined` if they could. */
  async find(): Promise<unknown> {
    try {
      const opening = (await this.#store.abandoned()).map((store) => this.#openOne(store));
      await Promise.allSettled(opening);
      await Promise.all(opening);
      return undefined;
    } catch (error) {
      // It keeps nothing else from being sent.
      return error;
    }
  }

  /** Closes those that are empty. */
  async closeEmpty(): Promise<void> {
    for (const outbox of this.#open) if (outbox.pending === 0) await this.#close(outbox);
  }

  /** Closes all. */
  async close(): Promise<void> {
    for (const outbox of this.#open) await this.#close(outbox);
  }

  async #openOne(store: Store): Promise<void> {
    try {
      this.#open.add(await Outbox.open(store, this.#identity, await store.load()));
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  async #close(outbox: Outbox): Promise<void> {
    this.#open.delete(outbox);
    await outbox.close();
  }
}
