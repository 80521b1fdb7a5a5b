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
  /** Whether it stores at the end of this task. */
  #isDue = false;
  /** Whether it waits to try again. */
  #isRetrying = false;
  /** Why what was pushed is not stored, if that was tried. */
  failure: DocumentError | undefined;
  /** The last failure that was reported: the same one is not reported again. */
  #reported: string | undefined;

  constructor(options: BatchesOptions) {
    this.#options = options;
  }

  /** Something was pushed. It is stored with what follows in the same task. */
  pushed(): void {
    if (!this.#isDue) void this.#storeSoon();
    this.#options.onChange();
  }

  /** Stores what was pushed; what fails is tried again later, and reported. */
  async #storeSoon(): Promise<void> {
    this.#isDue = true;
    await undefined;
    this.#isDue = false;
    try {
      await this.flush();
      this.#reported = undefined;
    } catch (error) {
      if (!this.#isRetrying) void this.#retry();
      const message = String(error);
      if (this.#reported === message) return;
      this.#reported = message;
      this.#options.onError(error);
    }
  }

  async #retry(): Promise<void> {
    const { clock, signal } = this.#options;
    this.#isRetrying = true;
    await clock.sleep(RETRY_MS, signal);
    this.#isRetrying = false;
    if (!signal.aborted) await this.#storeSoon();
  }

  /** Stores what was pushed, and what is pushed meanwhile. Throws a `DocumentError` if that fails. */
  flush(): Promise<void> {
    return this.#queue.run(() => this.#store());
  }

  /**
   * Stores an update of a document with what was pushed, and applies it then. Throws where that fails:
   * nothing is kept of the update, and what was pushed waits as before.
   */
  store(document: Document, update: Bytes): Promise<void> {
    return this.#queue.run(async () => {
      const pending = this.#pending();
      const append = (documents: readonly Document[]) =>
        this.#append(documents, [document.entry(update)], () => document.receive([update]));
      try {
        await append(pending);
        this.failure = undefined;
      } catch (error) {
        // What was pushed may be too large, and does not hold up this.
        if (!(error instanceof RangeError)) throw error;
        await append([]);
      } finally {
        this.#options.onChange();
      }
    });
  }

  #pending(): readonly Document[] {
    return this.#options.documents().filter((document) => document.isPending);
  }

  async #store(): Promise<void> {
    for (;;) {
      const pending = this.#pending();
      if (pending.length === 0) return;
      this.failure = await this.#tryAll(pending);
      this.#options.onChange();
      if (this.failure !== undefined) throw this.failure;
    }
  }

  /** Returns why not all of what was pushed is stored, if that is so. */
  async #tryAll(documents: readonly Document[]): Promise<DocumentError | undefined> {
    try {
      await this.#append(documents);
    } catch (error) {
      const isTooLarge = error instanceof RangeError;
      // One that is too large does not hold up the others.
      if (isTooLarge && documents.length > 1) return this.#tryEach(documents);
      if (isTooLarge && documents[0]?.shrink()) return this.#tryAll(documents);
      const names = documents.map(({ name }) => name);
      return notStored(names, error);
    }
    return undefined;
  }

  async #tryEach(documents: readonly Document[]): Promise<DocumentError | undefined> {
    let failure: DocumentError | undefined;
    for (const document of documents) {
      const next = await this.#tryAll([document]);
      failure ??= next;
    }
    return failure;
  }

  /** Stores what was pushed to documents, and other entries with it: all or nothing. */
  async #append(
    documents: readonly Document[],
    others: readonly Bytes[] = [],
    onStored?: () => void,
  ): Promise<void> {
    const entries = [...documents.flatMap((document) => document.take()), ...others];
    try {
      await this.#options.append(entries, () => {
        for (const document of documents) document.stored();
        onStored?.();
      });
    } catch (error) {
      for (const document of documents) document.putBack();
      throw error;
    }
  }
}
