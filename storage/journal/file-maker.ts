import { md5Of, StorageFull } from "../driver.ts";
import type { NameLocks } from "../name-locks.ts";
import type { FileStore } from "./file-store.ts";
import type { Journal } from "./journal.ts";
import type { Journals } from "./journals.ts";
import type { JournalWriter } from "./writer.ts";

export interface FileMakerOptions {
  readonly journals: Journals;
  readonly writer: JournalWriter;
  readonly locks: NameLocks;
  readonly files: FileStore;
}

/** The record by which a journal holds an object. */
export interface ObjectRecord {
  readonly journal: Journal;
  readonly name: string;
  readonly offset: number;
  /** When it was committed, in milliseconds of Unix time, if that is known. */
  readonly storedAt?: number | undefined;
}

/** How many objects become files at once. */
const AT_ONCE = 16;

/**
 * Makes files of objects in journals, and ends their records: the only way in which an object leaves
 * a journal. Any number of processes may do so with one record, at any time: all make the same file.
 *
 * Another process may delete the object meanwhile. It deletes the record first, and looks for the
 * file after that; this one stores the file first, and looks for the delete after that. So one of
 * the two finds the other, and the file goes. It stays where a delete only says that the object
 * became a file, where the file was there before, because others may have stored it, and where
 * there is another record of the object, which may rely on the file.
 */
export class FileMaker {
  readonly #options: FileMakerOptions;
  /** Records of which this process has made files, without having looked for deletes since. */
  readonly #unchecked = new Map<string, ObjectRecord>();

  constructor(options: FileMakerOptions) {
    this.#options = options;
  }

  /**
   * Makes files of some objects. Throws the first error, when all the rest is done; where a disk is
   * full or gone, it stops.
   *
   * @param bodyOf `undefined` for an object that is not to become a file any more
   */
  async make<Item extends ObjectRecord>(
    records: readonly Item[],
    bodyOf: (record: Item) => Uint8Array | undefined,
  ): Promise<void> {
    const errors: unknown[] = [];
    for (let at = 0; at < records.length; at += AT_ONCE) {
      const group = records.slice(at, at + AT_ONCE);
      const made = group.map((record) => this.#make(record, () => bodyOf(record)));
      for (const done of await Promise.allSettled(made)) {
        if (done.status === "rejected") errors.push(done.reason);
      }
      // One object that cannot be read is no reason to stop.
      if (errors.length >= AT_ONCE) break;
    }
    if (errors.length > 0) throw errors[0];
  }

  /** Looks for the deletes that a failure has kept it from. */
  async check(): Promise<void> {
    for (const record of this.#unchecked.values()) {
      await this.#options.locks.run(record.name, () => this.#end(record));
    }
  }

  #make(record: ObjectRecord, read: () => Uint8Array | undefined): Promise<void> {
    return this.#options.locks.run(record.name, async () => {
      const body = this.#isThere(record) ? read() : undefined;
      if (body === undefined) return;
      if (await this.#store(record, body)) this.#unchecked.set(keyOf(record), record);
      await this.#end(record);
    });
  }

  /** Ends a record whose object is a file, or deletes the file. */
  async #end(record: ObjectRecord): Promise<void> {
    const { journals, writer, files } = this.#options;
    const { journal, name, offset } = record;
    journals.refresh();
    if (this.#isThere(record)) {
      await writer.write([{ kind: "delete", name, journal, offset, heldBy: name }]);
    } else if (this.#unchecked.has(keyOf(record)) && journal.stateOf(name, offset) === "deleted") {
      if (journals.deletesFor(name).length === 0) await files.delete(name);
    }
    this.#unchecked.delete(keyOf(record));
  }

  #isThere({ journal, name, offset }: ObjectRecord): boolean {
    const state = journal.stateOf(name, offset);
    return this.#options.journals.has(journal) && (state === "live" || state === "unread");
  }

  /**
   * In the room that is kept, where there is no other: what it holds is stored already. The file is
   * dated as the record, which may be months old.
   */
  async #store({ name, storedAt }: ObjectRecord, body: Uint8Array): Promise<boolean> {
    const { files } = this.#options;
    // By its MD5 a damaged file of this name is found out, and replaced.
    const md5 = md5Of(body);
    try {
      return await files.store(name, body, { md5, storedAt });
    } catch (error) {
      if (!(error instanceof StorageFull)) throw error;
      return files.store(name, body, { md5, storedAt, fromReserve: true });
    }
  }
}

function keyOf({ journal, offset }: ObjectRecord): string {
  return `${journal.id} ${offset}`;
}
