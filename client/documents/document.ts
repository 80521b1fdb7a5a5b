import type { Bytes } from "../../protocol/bytes.ts";
import type { DocumentHandler, OpenDocument } from "../document-source.ts";
import { entryOf, nameBytes } from "./entry.ts";
import type { DocumentsOptions } from "./options.ts";

/** A handler of a document, and whether it has everything. */
interface Attached {
  readonly handler: DocumentHandler;
  isWhole: boolean;
}

/** One document: all of its updates, those that are not stored yet, and the handlers that have it open. */
export class Document {
  readonly name: string;
  readonly #name: Bytes;
  #updates: Bytes[] = [];
  #pending: Bytes[] = [];
  /** Those that are being stored. */
  #storing: readonly Bytes[] = [];
  readonly #open = new Set<Attached>();
  /** How many calls of `#add` are under way: a handler that gets updates may push some itself. */
  #handing = 0;
  readonly #onError: (error: unknown) => void;

  constructor(name: string, onError: (error: unknown) => void) {
    this.name = name;
    this.#name = nameBytes(name);
    this.#onError = onError;
  }

  /** Whether it has an update. */
  get isEmpty(): boolean {
    return this.#updates.length === 0;
  }

  /** Whether updates are in memory alone. */
  get isPending(): boolean {
    return this.#pending.length > 0 || this.#storing.length > 0;
  }

  /** @param onPush called after each update that this app makes */
  open(handler: DocumentHandler, onPush: () => void): OpenDocument {
    const attached = { handler, isWhole: true };
    this.#open.add(attached);
    this.#hand(attached, this.#updates);
    return {
      name: this.name,
      push: (update) => {
        const copy = update.slice();
        this.#pending.push(copy);
        this.#add([copy], attached);
        onPush();
      },
      close: () => this.#close(attached),
    };
  }

  /** Takes updates of other devices or tabs, or of a snapshot. */
  receive(updates: readonly Bytes[]): void {
    this.#add(updates);
  }

  /**
   * Returns the entries of updates that hold the whole document: a single one if they can be joined.
   *
   * @param merge joins the updates of a document that is not open, if it can
   */
  state(merge: DocumentsOptions["merge"]): Bytes[] {
    const whole = [...this.#open].find(({ handler, isWhole }) => isWhole && handler.state);
    const isOne = this.#updates.length < 2;
    const join = () => (whole?.handler.state?.() ?? merge?.(this.#updates, this.name))?.slice();
    const joined = isOne ? undefined : this.#made(join);
    if (joined !== undefined) this.#updates = [joined];
    return this.#updates.map((update) => this.entry(update));
  }

  /** The entry of an update. */
  entry(update: Uint8Array): Bytes {
    return entryOf(this.#name, update);
  }

  /** The entries of what waits to be stored; `stored` or `putBack` follows. */
  take(): Bytes[] {
    this.#storing = this.#merged(this.#pending);
    this.#pending = [];
    return this.#storing.map((update) => this.entry(update));
  }

  /** What was taken is stored. */
  stored(): void {
    this.#storing = [];
  }

  /** What was taken waits again. */
  putBack(): void {
    this.#pending = [...this.#storing, ...this.#pending];
    this.#storing = [];
  }

  /** Makes what waits smaller. Returns whether that was possible. */
  shrink(): boolean {
    const [update, ...others] = this.#merged(this.#pending);
    if (update === undefined || others.length > 0) return false;
    const smaller = this.#made(() => this.#smaller(update)?.slice());
    if (smaller === undefined || smaller.length >= update.length) return false;
    this.#pending = [smaller];
    return true;
  }

  /** The entry of an update, made smaller where a handler can do that. */
  smaller(update: Bytes): Bytes {
    return this.entry(this.#smaller(update) ?? update);
  }

  #smaller(update: Bytes): Uint8Array | undefined {
    const shrinking = [...this.#open].find(({ handler, isWhole }) => isWhole && handler.shrink);
    return shrinking?.handler.shrink?.(update);
  }

  #merged(updates: readonly Bytes[]): readonly Bytes[] {
    if (updates.length < 2) return updates;
    const merging = [...this.#open].find(({ handler }) => handler.merge !== undefined);
    const merged = this.#made(() => merging?.handler.merge?.(updates).slice());
    return merged === undefined ? updates : [merged];
  }

  /** What a handler makes of updates; `undefined` if it fails. */
  #made(make: () => Bytes | undefined): Bytes | undefined {
    try {
      return make();
    } catch (error) {
      this.#onError(error);
      return undefined;
    }
  }

  #add(updates: readonly Bytes[], from?: Attached): void {
    for (const update of updates) this.#updates.push(update);
    this.#handing++;
    // One that is opened meanwhile has them, and one that is closed gets no more.
    for (const one of [...this.#open]) {
      if (one !== from && this.#open.has(one)) this.#hand(one, updates);
    }
    this.#handing--;
  }

  #hand(attached: Attached, updates: readonly Bytes[]): void {
    if (updates.length === 0) return;
    try {
      attached.handler.apply(updates);
    } catch (error) {
      attached.isWhole = false;
      this.#onError(error);
    }
  }

  #close(attached: Attached): void {
    if (!this.#open.delete(attached) || !attached.isWhole || this.#updates.length < 2) return;
    // It may not have been handed all of them yet.
    if (this.#handing > 0) return;
    const state = attached.handler.state?.();
    if (state !== undefined) this.#updates = [state.slice()];
  }
}
