import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import {
  checkPlace,
  checkWritable,
  type Owners,
  openDataFolder,
  TEMPORARY_FOLDER,
} from "./data-folder.ts";
import {
  checkName,
  type Driver,
  ObjectMissing,
  ObjectUnreadable,
  partitionOf,
  type StoredObject,
  type Warn,
} from "./driver.ts";
import { isNotFound, isUnreadable, lookAt, readFile } from "./durable-files.ts";
import { FileWriter } from "./file-writer.ts";
import { guarded } from "./folder-errors.ts";
import { listFolder, readNames } from "./folder-listing.ts";
import { Reserve } from "./reserve.ts";
import { sortInSlices } from "./slices.ts";

/**
 * Keeps each object as a file, in a folder for each partition:
 *
 *     data/[PARTITION]/[NAME]
 *     data/.tmp/[random]      a put that has not finished
 *     data/.tmp/reserve       room for when there is none
 *
 * Several processes may share a folder. They run as one account, because only it can read the files
 * (0600).
 */
export class FilesystemDriver implements Driver {
  readonly listsCheaply = true;
  readonly #root: string;
  readonly #temporary: string;
  /** The accounts whose folders are used. */
  readonly owners: Owners;
  readonly #reserve: Reserve;
  readonly #files: FileWriter;

  private constructor(root: string, temporary: string, owners: Owners, reserve: Reserve) {
    this.#root = root;
    this.#temporary = temporary;
    this.owners = owners;
    this.#reserve = reserve;
    this.#files = new FileWriter({ root, temporary, owners, reserve });
  }

  /**
   * Opens a folder, creating it if necessary, and deletes the temporary files that a crash has left.
   * A running put of another process, whose temporary file is deleted too, writes it again.
   *
   * @param warn takes what the operator should know about the folder
   */
  static async open(path: string, warn: Warn = console.warn): Promise<FilesystemDriver> {
    const root = resolve(path);
    const temporary = join(root, TEMPORARY_FOLDER);
    return guarded(`open the storage folder ${path}`, async () => {
      const owners = await openDataFolder(root, temporary, warn);
      return new FilesystemDriver(root, temporary, owners, await Reserve.open(temporary));
    });
  }

  async list(prefix: string): Promise<StoredObject[]> {
    if (prefix !== "") checkName(prefix);
    return guarded("list the storage folder", async () => {
      const partition = partitionOf(prefix);
      const folders = partition === prefix ? await this.#folders(prefix) : [partition];
      const found: StoredObject[][] = [];
      for (const folder of folders) found.push(await this.#listFolder(folder, prefix));
      const [only = []] = found;
      return found.length < 2 ? only : sortInSlices(found.flat(), (a, b) => a.name < b.name);
    });
  }

  async get(name: string, size = 0): Promise<Uint8Array> {
    checkName(name);
    return guarded("read an object", async () => {
      try {
        return await readFile(this.#files.pathOf(name), size);
      } catch (error) {
        if (isUnreadable(error)) {
          // A disk that fails as a whole is no fault of one object.
          await checkWritable(this.#temporary);
          throw new ObjectUnreadable(`could not read the object ${name}`, { cause: error });
        }
        if (!isNotFound(error)) throw error;
        await this.#checkPresent();
        throw new ObjectMissing(name, { cause: error });
      }
    });
  }

  async put(name: string, body: Uint8Array, md5?: string, fromReserve = false): Promise<void> {
    await this.store(name, body, md5, fromReserve);
  }

  /** As `put`. False where the object was stored already. */
  async store(name: string, body: Uint8Array, md5?: string, fromReserve = false): Promise<boolean> {
    checkName(name);
    return guarded("store an object", () => this.#files.put(name, body, md5, fromReserve));
  }

  /** Whether an object of this name is stored. */
  has(name: string): boolean {
    return Boolean(lookAt(this.#files.pathOf(name)));
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    await guarded("delete an object", async () => {
      if (!(await this.#files.delete(name))) await this.#checkPresent();
      // The object is gone, whatever fails here. It fails in `check` as well, which reports it.
      await this.#reserve.fill().catch(() => undefined);
    });
  }

  async check(): Promise<void> {
    await guarded("store anything", async () => {
      await this.#reserve.fill();
      await checkWritable(this.#temporary);
    });
  }

  async close(): Promise<void> {
    this.#files.clear();
  }

  async #folders(start: string): Promise<string[]> {
    const entries = await readdir(this.#root, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
      .map((entry) => entry.name)
      .filter((name) => name.startsWith(start));
  }

  #listFolder(folder: string, prefix: string): Promise<StoredObject[]> {
    const path = join(this.#root, folder);
    return listFolder({
      path,
      names: () => this.#namesIn(path),
      isListed: (name) => name.startsWith(prefix) && partitionOf(name) === folder,
      renew: (name) => this.#files.renew(name),
    });
  }

  /** The names in a partition's folder, of objects and of any other files. */
  async #namesIn(path: string): Promise<string[]> {
    try {
      return await readNames(path, checkPlace(path, this.owners));
    } catch (error) {
      if (!isNotFound(error)) throw error;
      await this.#checkPresent();
      return [];
    }
  }

  /**
   * What is not found is not stored, unless the storage itself is gone (a volume that is not
   * mounted): then this throws.
   */
  async #checkPresent(): Promise<void> {
    await stat(this.#temporary);
  }
}
