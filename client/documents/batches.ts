/** Stores what was pushed: all of a moment together, and again where that fails. */
import type { Bytes } from "../../protocol/bytes.ts";
import { SerialQueue } from "../serial-queue.ts";
import type { Clock } from "../types.ts";
import type { Document } from "./document.ts";
import { type DocumentError, notStored } from "./errors.ts";

/** What could not be stored is tried again. */
const RETRY_MS = 5000;

/** What batches work with. */
export interface BatchesOptions {
  readonly clock: Clock;
  /** Nothing is stored after it is aborted. */
  readonly signal: AbortSignal;
  readonly documents: () => readonly Document[];
  /** Makes entries durable; calls `onStored` before they are delivered. */
  readonly append: (entries: readonly Bytes[], onStored: () => void) => Promise<void>;
  /** Called when something begins to wait, and when it no longer does. */
  readonly onChange: () => void;
  readonly onError: (error: unknown) => void;
}

export class Batches {
  readonly #options: BatchesOptions;
  readonly #queue = new SerialQueue();
  /** Whether it stores soon, or tries again. */
  #isDue = false;
  /** Why what was pushed is not stored, if that was tried. */
  failure: DocumentError | undefined;
  /** The last failure that was reported: the same one is not reported again. */
  #reported: string | undefined;

  constructor(options: BatchesOptions) {
    this.#options = options;
  }

  /** Something was pushed. It is stored with what follows in the same task. */
  pushed(): void {
    this.#options.onChange();
    this.#storeAfter(Promise.resolve());
  }

  #storeAfter(moment: Promise<void>): void {
    if (this.#isDue) return;
    this.#isDue = true;
    void moment.then(() => {
      this.#isDue = false;
      if (!this.#options.signal.aborted) void this.storeSoon();
    });
  }

  /** Stores what was pushed; what fails is reported, and tried again later. */
  async storeSoon(): Promise<void> {
    const { clock, onError, signal } = this.#options;
    try {
      await this.flush();
      this.#reported = undefined;
    } catch (error) {
      if (this.#reported !== String(error)) onError(error);
      this.#reported = String(error);
      this.#storeAfter(clock.sleep(RETRY_MS, signal));
    }
  }

  /** Stores what was pushed. Throws a `DocumentError` if that fails. */
  flush(): Promise<void> {
    return this.#queue.run(() => this.#store());
  }

  /**
   * Stores an update of a document with what was pushed, and applies it then. Throws where that fails:
   * nothing is kept of the update, and what was pushed waits as before.
   */
  store(document: Document, update: Bytes): Promise<void> {
    return this.#queue.run(() => this.#storeWith(this.#pending(), document, update));
  }

  async #storeWith(pending: readonly Document[], document: Document, update: Bytes): Promise<void> {
    const entries = [...pending.flatMap((one) => one.take()), document.entry(update)];
    try {
      await this.#options.append(entries, () => {
        for (const one of pending) one.stored();
        document.receive([update]);
      });
      if (pending.length > 0) this.failure = undefined;
    } catch (error) {
      for (const one of pending) one.putBack();
      // What was pushed may be too large, and does not hold up this.
      if (error instanceof RangeError && pending.length > 0) {
        return this.#storeWith([], document, update);
      }
      throw error;
    } finally {
      this.#options.onChange();
    }
  }

  #pending(): readonly Document[] {
    return this.#options.documents().filter((document) => document.isPending);
  }

  async #store(): Promise<void> {
    const pending = this.#pending();
    if (pending.length === 0) return;
    this.failure = await this.#append(pending);
    this.#options.onChange();
    if (this.failure !== undefined) throw this.failure;
  }

  /** Returns why not all of what was pushed is stored, if that is so. */
  async #append(documents: readonly Document[]): Promise<DocumentError | undefined> {
    const entries = documents.flatMap((document) => document.take());
    try {
      await this.#options.append(entries, () => {
        for (const document of documents) document.stored();
      });
    } catch (error) {
      for (const document of documents) document.putBack();
      const isTooLarge = error instanceof RangeError;
      // One that is too large does not hold up the others.
      if (isTooLarge && documents.length > 1) return this.#appendEach(documents);
      if (isTooLarge && documents[0]?.shrink()) return this.#append(documents);
      const names = documents.map(({ name }) => name);
      return notStored(names, error);
    }
    return undefined;
  }

  async #appendEach(documents: readonly Document[]): Promise<DocumentError | undefined> {
    let failure: DocumentError | undefined;
    for (const document of documents) {
      const next = await this.#append([document]);
      failure ??= next;
    }
    return failure;
  }
}
