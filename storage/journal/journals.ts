import { partitionOf, type StoredObject } from "../driver.ts";
import type { Change, Delete } from "./changes.ts";
import type { JournalFolder } from "./folder.ts";
import { HEADER_BYTES, parseHeader, unknownVersion } from "./header.ts";
import { type Held, Journal } from "./journal.ts";
import { type Damage, type FoundRecord, type Scan, scan } from "./record.ts";
import { parseTarget, type Target } from "./target.ts";

/** A journal has bytes that are no records any more. */
export type DamageListener = (journal: string, damage: Damage) => void;

export interface JournalsOptions {
  readonly folder: Pick<JournalFolder, "names" | "open">;
  readonly onDamage: DamageListener;
}

/** A delete that was found, and the journal in which it stands. */
interface FoundDelete {
  readonly journal: Journal;
  readonly name: string;
  readonly target: Target;
}

/**
 * All journals of a folder: those of this process, and those of others, which it reads as they grow.
 *
 * What another process has written counts once its commit is there: the owner writes that when the
 * batch is durable. What follows the last commit is not used, so that its owner may still give it up.
 */
export class Journals {
  readonly #options: JournalsOptions;
  /** By id. */
  readonly #journals = new Map<string, Journal>();
  readonly #byName = new Map<string, Journal>();
  /** The journals that this process alone writes: it knows all that is in them. */
  readonly #own = new Set<Journal>();
  /** Deletes that were read and are not applied yet. */
  #found: FoundDelete[] = [];

  constructor(options: JournalsOptions) {
    this.#options = options;
  }

  /** Adds a new journal of this process. */
  addOwn(journal: Journal): void {
    this.#add(journal);
    this.#own.add(journal);
  }

  /** This process writes no more to the journal, and empties it no more. */
  disown(journal: Journal): void {
    if (this.#own.delete(journal) && !this.has(journal)) journal.close();
  }

  isOwn(journal: Journal): boolean {
    return this.#own.has(journal);
  }

  all(): Journal[] {
    return [...this.#journals.values()];
  }

  has(journal: Journal): boolean {
    return this.#journals.get(journal.id) === journal;
  }

  isKnown(name: string): boolean {
    return this.#byName.has(name);
  }

  /** A live record of an object. */
  find(name: string): Held | undefined {
    const partition = partitionOf(name);
    for (const journal of this.#journals.values()) {
      const position = journal.find(name, partition);
      if (position !== undefined) return { journal, name, ...position };
    }
    return undefined;
  }

  /**
   * Deletes for all records of an object: several, where processes stored it side by side. Also for
   * those that became a file, so that a process that makes one at the same moment finds the delete.
   */
  deletesFor(name: string, heldBy?: string): Delete[] {
    return this.all().flatMap((journal) =>
      journal
        .recordsOf(name)
        .map((offset) => ({ kind: "delete" as const, name, journal, offset, heldBy })),
    );
  }

  /** The live objects whose names begin with a prefix, each once, in no order. */
  list(prefix: string, withTimes = false): Map<string, StoredObject> {
    const found = new Map<string, StoredObject>();
    for (const journal of this.#journals.values()) {
      for (const object of journal.list(prefix, withTimes)) found.set(object.name, object);
    }
    return found;
  }

  /**
   * To be called with each change of this process once it is committed.
   *
   * @param storedAt the time of the commit
   */
  apply(change: Change, journal: Journal, offset: number, storedAt: number): void {
    if (change.kind === "put") {
      journal.add(change.name, { offset, size: change.body.byteLength, storedAt });
    } else {
      const { name, journal: ended, ...target } = change;
      this.#end(journal, name, { ...target, id: ended.id });
    }
  }

  /**
   * Reads what other processes have committed before this call, in two passes. An object leaves a
   * journal only by a record that its process commits once the file is durable. So the deletes of the
   * first pass are applied when a second one has read all that was committed before them, also in
   * journals that were begun meanwhile. Those of the second pass wait for the next call.
   */
  refresh(): void {
    if (!this.#readAll() && this.#found.length === 0) return;
    const deletes = this.#found;
    this.#found = [];
    try {
      this.#readAll();
    } catch (error) {
      this.#found = [...deletes, ...this.#found];
      throw error;
    }
    for (const { journal, name, target } of deletes) this.#end(journal, name, target);
  }

  /** What follows the last commit of a journal of another process. */
  tailOf(journal: Journal): readonly FoundRecord[] {
    return this.#own.has(journal) ? [] : scanFrom(journal, journal.readTo).tail;
  }

  /** The deletes in a journal that other journals need: without them, what they end would be live. */
  deletesIn(journal: Journal): Delete[] {
    if (![...journal.targets].some((id) => this.#journals.has(id))) return [];
    const deletes = this.deletesAmong(journal, scanFrom(journal, HEADER_BYTES).records);
    const others = deletes.filter((some) => some.journal !== journal);
    const keyOf = ({ journal: { id }, offset, name, heldBy }: Delete) =>
      `${id} ${offset} ${heldBy === name}`;
    return [...new Map(others.map((some) => [keyOf(some), some])).values()];
  }

  /** The deletes among records of a journal that count, and whose journals are there. */
  deletesAmong(journal: Journal, records: readonly FoundRecord[]): Delete[] {
    return records.flatMap((record): Delete[] => {
      const { kind, name } = record;
      const target = kind === "delete" ? parseTarget(record.body) : undefined;
      const ended = target && this.#journals.get(target.id);
      if (target === undefined || ended === undefined || !counts(journal, target)) return [];
      const { offset, heldBy } = target;
      return [{ kind: "delete", name, journal: ended, offset, heldBy }];
    });
  }

  close(): void {
    this.#own.clear();
    for (const journal of this.all()) this.#forget(journal);
  }

  /** Its own may be open for a write: `disown` closes it. */
  #forget(journal: Journal): void {
    this.#journals.delete(journal.id);
    this.#byName.delete(journal.name);
    if (!this.#own.has(journal)) journal.close();
  }

  #add(journal: Journal): void {
    this.#journals.set(journal.id, journal);
    this.#byName.set(journal.name, journal);
  }

  /** False if there are no journals but this process's own. */
  #readAll(): boolean {
    const present = new Set<Journal>();
    let hasOthers = false;
    for (const name of this.#options.folder.names()) {
      const known = this.#known(name);
      if (known !== undefined) present.add(known);
      if (known !== undefined && this.#own.has(known)) continue;
      // Also if it is gone by now: what it held is in a journal that was begun meanwhile.
      hasOthers = true;
      const journal = known ?? this.#open(name);
      if (journal === undefined) continue;
      present.add(journal);
      this.#readNew(journal);
    }
    for (const journal of this.all()) {
      if (present.has(journal) || !journal.file.isGone()) continue;
      // What it held has left by deletes that this process may not have read yet.
      hasOthers = true;
      this.#forget(journal);
    }
    return hasOthers;
  }

  /** The journal under a name, unless another file has it by now. */
  #known(name: string): Journal | undefined {
    const known = this.#byName.get(name);
    if (known?.file.isGone() !== true) return known;
    this.#forget(known);
    return undefined;
  }

  /** The journal under a name that is new here; `undefined` where it is gone, or has no header yet. */
  #open(name: string): Journal | undefined {
    const { folder, onDamage } = this.#options;
    const file = folder.open(name);
    if (file === undefined) return undefined;
    // The size first: its owner may write the header meanwhile.
    const size = file.size();
    const bytes = file.salvage(0, HEADER_BYTES);
    const header = parseHeader(bytes);
    const journal = new Journal(file, name, header);
    if (header === undefined) {
      const version = unknownVersion(bytes);
      if (version !== undefined) {
        file.close();
        // Its objects would seem to be missing, and the journal empty.
        throw new Error(
          `the journal ${name} has format ${version}, which this version does not know: start the ` +
            "version that wrote it once with JOURNAL=off, which makes files of it",
        );
      }
      // Zeros are no header yet, or one that the disk cannot read.
      const isBlank = bytes.every((byte) => byte === 0) && !hasRecords(journal);
      if (size <= HEADER_BYTES || isBlank) {
        file.close();
        return undefined;
      }
      onDamage(name, { offset: 0, bytes: HEADER_BYTES });
    }
    this.#add(journal);
    return journal;
  }

  /** Reads what was added to a journal of another process: takes in the puts, remembers the deletes. */
  #readNew(journal: Journal): void {
    const size = journal.file.size();
    // What is behind the last commit was read before, if there is something.
    if (size <= journal.readTo || (journal.grows && size === journal.sizeRead)) return;
    const { records, damage, end } = scanFrom(journal, journal.readTo);
    for (const some of damage) this.#options.onDamage(journal.name, some);
    for (const record of records) {
      const { kind, name, offset, size, committedAt: storedAt } = record;
      const target = kind === "delete" ? parseTarget(record.body) : undefined;
      if (target !== undefined) this.#found.push({ journal, name, target });
      else if (kind === "put") journal.add(name, { offset, size, storedAt });
    }
    journal.readTo = end;
    journal.sizeRead = size;
  }

  /** @param journal has the delete */
  #end(journal: Journal, name: string, target: Target): void {
    if (!counts(journal, target)) return;
    const { id, offset, heldBy } = target;
    if (id !== journal.id) journal.targets.add(id);
    // One that is gone holds nothing any more.
    this.#journals.get(id)?.end(name, offset, heldBy === name);
  }
}

/**
 * Whether a delete counts. In a copy of the folder that was made while everything moved, what holds
 * the data instead may be missing, and what was deleted because it is held elsewhere is live again:
 * there may be two of it then, which is harmless.
 */
function counts(journal: Journal, { heldBy }: Target): boolean {
  return journal.isOriginal || heldBy === undefined;
}

function hasRecords(journal: Journal): boolean {
  const { records, tail } = scanFrom(journal, HEADER_BYTES);
  return records.length > 0 || tail.length > 0;
}

/** What a journal has from an offset on. */
function scanFrom(journal: Journal, offset: number): Scan {
  const { file, seed } = journal;
  return scan(seed, file.salvage(offset, Math.max(0, file.size() - offset)), offset);
}
