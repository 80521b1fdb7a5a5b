/** Mergeable stores of TinyBase, encrypted and offline. */
import { createMergeableStore, type MergeableStore } from "tinybase/mergeable-store";
import { type Bytes, textOf, utf8 } from "../protocol/bytes.ts";
import type { DocumentSource, OpenDocument } from "./document-source.ts";

/** An update: changes of transactions, or the content of a whole store. */
type Changes = Parameters<MergeableStore["applyMergeableChanges"]>[0][];

/** What stands for `undefined`, which JSON does not have and a deleted cell is: in TinyBase as well. */
const NOTHING = "\ufffc";

/**
 * Keeps a mergeable store on this device, and syncs it with the user's other devices. It takes the
 * place of a persister and a synchronizer.
 */
export class TinyBaseProvider {
  readonly documents: DocumentSource;
  readonly name: string;
  readonly store: MergeableStore;
  /**
   * Fulfilled once what is on this device is in the store; the server is not needed for that. Rejected if
   * the documents are closed before.
   */
  readonly whenLoaded: Promise<this>;
  /** Fulfilled once what is on the server is in it as well. Rejected as `whenLoaded` is. */
  readonly whenSynced: Promise<this>;
  readonly #open: OpenDocument;
  readonly #listener: string;
  /** What the log has, until it is loaded: the rest of the store is to be stored. */
  #stored: MergeableStore | undefined = createMergeableStore();
  /** The times of the changes that are being applied. */
  #applying: ReadonlySet<string> | undefined;
  #isOver = false;

  /**
   * Throws an `Error` where the documents are closed.
   *
   * @param name names the store on all devices: 1 to 255 bytes in UTF-8. Throws a `RangeError` or a
   *   `TypeError` for another one
   * @param store what it already contains is added to the one of this name
   */
  constructor(
    documents: DocumentSource,
    name: string,
    store: MergeableStore = createMergeableStore(),
  ) {
    this.documents = documents;
    this.name = name;
    this.store = store;
    this.#open = documents.open(name, {
      apply: (updates) => this.#apply(updates),
      merge: (updates) => bytesOf(updates.flatMap(changesOf)),
      shrink: (update) => bytesOf([presentOf(store, changesOf(update))]),
      state: () => bytesOf([store.getMergeableContent()]),
    });
    this.#listener = store.addDidFinishTransactionListener(() => this.#push());
    void documents.whenClosing.then(() => this.#pushRest());
    this.whenLoaded = documents.whenLoaded.then(() => this.#pushRest());
    this.whenSynced = documents.whenSynced.then(() => this.#pushRest());
    // Nobody has to wait for them.
    for (const one of [this.whenLoaded, this.whenSynced]) one.catch(() => undefined);
  }

  /** Ends the provider for good. What was changed is stored; the store stays usable. */
  destroy(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#pushRest();
    this.store.delListener(this.#listener);
    this.#open.close();
  }

  #apply(updates: readonly Bytes[]): void {
    const all = updates.flatMap(changesOf);
    this.#applying = new Set(all.flatMap(timesOf));
    try {
      this.store.transaction(() => {
        for (const changes of all) {
          this.#stored?.applyMergeableChanges(changes);
          this.store.applyMergeableChanges(changes);
        }
      });
    } finally {
      this.#applying = undefined;
    }
  }

  #push(): void {
    const changes = this.store.getTransactionMergeableChanges();
    // A listener that mutates may have added to what is being applied.
    if (timesOf(changes).every((time) => this.#applying?.has(time))) return;
    this.#stored?.applyMergeableChanges(changes);
    this.#open.push(bytesOf([changes]));
  }

  /** What the store has beyond what it was handed is to be stored. */
  #pushRest(): this {
    const stored = this.#stored;
    this.#stored = undefined;
    if (stored !== undefined && hashesOf(stored) !== hashesOf(this.store)) {
      this.#open.push(bytesOf([this.store.getMergeableContent()]));
    }
    return this;
  }
}

/** The times of all cells and values, each of which a change has for itself. */
function timesOf([[tables], [values]]: Changes[number]): string[] {
  const times = Object.values(values).map(([, time]) => time ?? "");
  for (const [rows] of Object.values(tables)) {
    for (const row in rows) {
      const cells = rows[row]?.[0];
      for (const cell in cells) times.push(cells[cell]?.[1] ?? "");
    }
  }
  return times;
}

/** What a store has now of the cells and values that were changed. */
function presentOf(store: MergeableStore, all: Changes): Changes[number] {
  const changed = createMergeableStore();
  for (const changes of all) changed.applyMergeableChanges(changes);
  const content = changed.getMergeableContent();
  const [[tables], [values]] = content;
  const [[tablesNow], [valuesNow]] = store.getMergeableContent();
  for (const [table, [rows]] of Object.entries(tables)) {
    for (const [row, [cells]] of Object.entries(rows)) {
      replace(cells, tablesNow[table]?.[0][row]?.[0]);
    }
  }
  replace(values, valuesNow);
  return content;
}

function replace<Cell>(old: Record<string, Cell>, now: Record<string, Cell> = {}): void {
  for (const id in old) {
    const cell = now[id];
    if (cell !== undefined) old[id] = cell;
  }
}

function hashesOf(store: MergeableStore): string {
  const [tables, values] = store.getMergeableContent();
  return `${tables[2]} ${values[2]}`;
}

function bytesOf(changes: Changes): Bytes {
  return utf8(JSON.stringify(changes, (_, value) => (value === undefined ? NOTHING : value)));
}

function changesOf(update: Bytes): Changes {
  return JSON.parse(textOf(update), (_, value) => (value === NOTHING ? undefined : value));
}
