import { setImmediate as turn } from "node:timers/promises";
import { ObjectUnreadable, type StorageReader, type StoredObject } from "../driver.ts";
import { isUnreadable } from "../durable-files.ts";
import { guarded } from "../folder-errors.ts";
import { sortInSlices } from "../slices.ts";
import type { Held } from "./journal.ts";
import type { Journals } from "./journals.ts";

/**
 * Lists and reads objects that are in journals or files.
 *
 * Objects only ever move from a journal into a file, and are durable there before they leave the
 * journal. So this looks into the journals first, and into the files after that.
 */
export class JournalReader {
  readonly #journals: Journals;
  readonly #files: Pick<StorageReader, "list" | "get">;
  #refreshing: Promise<void> | undefined;

  constructor(journals: Journals, files: Pick<StorageReader, "list" | "get">) {
    this.#journals = journals;
    this.#files = files;
  }

  async list(prefix: string, withTimes?: boolean): Promise<StoredObject[]> {
    await this.refresh();
    const held = this.#journals.list(prefix, withTimes);
    const files = await this.#files.list(prefix, withTimes);
    // A file may be gone, packed into an object of a journal that this list came too early for.
    await this.refresh();
    for (const [name, object] of this.#journals.list(prefix, withTimes)) held.set(name, object);
    if (held.size === 0) return files;
    for (const { name } of files) held.delete(name);
    return sortInSlices([...files, ...held.values()], (a, b) => a.name < b.name);
  }

  async get(name: string, size?: number): Promise<Uint8Array> {
    await this.refresh();
    const held = this.#journals.find(name);
    return held === undefined ? this.#files.get(name, size) : this.read(held);
  }

  /** The body of an object that a journal holds. */
  async read(held: Held): Promise<Uint8Array> {
    const { name, journal } = held;
    return guarded("read a journal", async () => {
      try {
        return journal.read(name, held);
      } catch (error) {
        if (!isUnreadable(error)) throw error;
        throw new ObjectUnreadable(`could not read the object ${name}`, { cause: error });
      }
    });
  }

  /**
   * Reads what was committed before this call. Calls in one turn of the event loop share it, because it
   * reads a folder, twice for each list.
   */
  refresh(): Promise<void> {
    this.#refreshing ??= guarded("read the journals", async () => {
      await turn();
      this.#refreshing = undefined;
      this.#journals.refresh();
    });
    return this.#refreshing;
  }
}
