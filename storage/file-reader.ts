import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { checkPlace, type Owners } from "./data-folder.ts";
import {
  checkName,
  ObjectMissing,
  ObjectUnreadable,
  partitionOf,
  type StoredObject,
} from "./driver.ts";
import { inFolder, isNotFound, isUnreadable, readFile } from "./durable-files.ts";
import { guarded } from "./folder-errors.ts";
import { listFolder, readNames } from "./folder-listing.ts";
import { sortInSlices } from "./slices.ts";

export interface FileReaderOptions {
  readonly root: string;
  readonly owners: Owners;
  /** A folder that is there as long as the storage is: a volume may be gone. */
  readonly present: string;
  /** Has a listed file committed that is not, or throws. Where nothing relies on the list, nothing. */
  readonly renew?: (name: string) => Promise<void>;
  /** Throws where the disk fails as a whole, which is no fault of one object. */
  readonly checkDisk?: () => Promise<void>;
}

/** Lists and reads the objects of a data folder that are files. */
export class FileReader {
  readonly #options: FileReaderOptions;

  constructor(options: FileReaderOptions) {
    this.#options = options;
  }

  async list(prefix: string, withTimes = false): Promise<StoredObject[]> {
    if (prefix !== "") checkName(prefix);
    return guarded("list the storage folder", async () => {
      const partition = partitionOf(prefix);
      const folders = partition === prefix ? await this.#folders(prefix) : [partition];
      const found: StoredObject[][] = [];
      for (const folder of folders) found.push(await this.#listFolder(folder, prefix, withTimes));
      const [only = []] = found;
      return found.length < 2 ? only : sortInSlices(found.flat(), (a, b) => a.name < b.name);
    });
  }

  async get(name: string, size = 0): Promise<Uint8Array> {
    checkName(name);
    return guarded("read an object", async () => {
      try {
        return await readFile(this.pathOf(name), size);
      } catch (error) {
        if (isUnreadable(error)) {
          await this.#options.checkDisk?.();
          throw new ObjectUnreadable(`could not read the object ${name}`, { cause: error });
        }
        if (!isNotFound(error)) throw error;
        await this.checkPresent();
        throw new ObjectMissing(name, { cause: error });
      }
    });
  }

  /** The path of an object. */
  pathOf(name: string): string {
    return inFolder(inFolder(this.#options.root, partitionOf(name)), name);
  }

  /**
   * What is not found is not stored, unless the storage itself is gone (a volume that is not
   * mounted): then this throws.
   */
  async checkPresent(): Promise<void> {
    await stat(this.#options.present);
  }

  async #folders(start: string): Promise<string[]> {
    const entries = await readdir(this.#options.root, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map((entry) => entry.name)
      .filter((name) => name.startsWith(start));
  }

  #listFolder(folder: string, prefix: string, withTimes: boolean): Promise<StoredObject[]> {
    const { root, renew = async () => undefined } = this.#options;
    const path = join(root, folder);
    return listFolder({
      path,
      names: () => this.#namesIn(path),
      isListed: (name) => name.startsWith(prefix) && partitionOf(name) === folder,
      withTimes,
      renew,
    });
  }

  /** The names in a partition's folder, of objects and of any other files. */
  async #namesIn(path: string): Promise<string[]> {
    try {
      return await readNames(path, checkPlace(path, this.#options.owners));
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.checkPresent();
      return [];
    }
  }
}
