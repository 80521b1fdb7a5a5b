import { randomUUID } from "node:crypto";
import { readdir, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { LRUCache } from "lru-cache";
import {
  checkPlace,
  checkWritable,
  makeFolder,
  type Owners,
  openDataFolder,
} from "./data-folder.ts";
import {
  checkName,
  type Driver,
  isDamaged,
  ObjectMissing,
  ObjectUnreadable,
  partitionOf,
  type StoredObject,
  type Warn,
} from "./driver.ts";
import {
  FolderSyncs,
  isNotFound,
  isUnreadable,
  LARGE,
  move,
  readLarge,
  readWhole,
  remove,
  sizeOf,
  writeNew,
  writeOver,
} from "./durable-files.ts";
import { guarded } from "./folder-errors.ts";
import { listFolder, readNames } from "./folder-listing.ts";
import { Reserve } from "./reserve.ts";
import { sortInSlices } from "./slices.ts";

/** How many folders are remembered as durable, so that their parent is not synced for every put. */
const FOLDERS_REMEMBERED = 100_000;

/** How often a put is tried when its temporary file or its folder is removed under it. */
const PUT_ATTEMPTS = 5;

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
  readonly #root: string;
  readonly #temporary: string;
  readonly #syncs = new FolderSyncs();
  readonly #durableFolders = new LRUCache<string, true>({ max: FOLDERS_REMEMBERED });

  readonly #owners: Owners;
  readonly #reserve: Reserve;

  private constructor(root: string, temporary: string, owners: Owners, reserve: Reserve) {
    this.#root = root;
    this.#temporary = temporary;
    this.#owners = owners;
    this.#reserve = reserve;
  }

  /**
   * Opens a folder, creating it if necessary, and deletes the temporary files that a crash has left.
   * A running put of another process, whose temporary file is deleted too, writes it again.
   *
   * @param warn takes what the operator should know about the folder
   */
  static async open(path: string, warn: Warn = console.warn): Promise<FilesystemDriver> {
    const root = resolve(path);
    const temporary = join(root, ".tmp");
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
        const path = this.#path(name);
        return await (size < LARGE ? readWhole(path) : readLarge(path));
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
    checkName(name);
    await guarded("store an object", async () => {
      const folder = partitionOf(name);
      for (let attempt = 1; ; attempt++) {
        await this.#makeFolder(folder);
        if (await this.#write(name, body, md5, fromReserve)) break;
        // Another process has deleted the temporary file or the partition's folder.
        this.#durableFolders.delete(folder);
        if (attempt === PUT_ATTEMPTS)
          throw new Error(`other processes undid ${PUT_ATTEMPTS} attempts`);
      }
      // Also for a file that existed: the process that wrote it may have died before this.
      await this.#syncs.sync(join(this.#root, folder));
    });
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    await guarded("delete an object", async () => {
      if (!(await remove(this.#path(name)))) await this.#checkPresent();
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
    this.#durableFolders.clear();
  }

  #path(name: string): string {
    return inFolder(inFolder(this.#root, partitionOf(name)), name);
  }

  async #folders(start: string): Promise<string[]> {
    const entries = await readdir(this.#root, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isDirectory() && entry.name !== ".tmp")
      .map((entry) => entry.name)
      .filter((name) => name.startsWith(start));
  }

  #listFolder(folder: string, prefix: string): Promise<StoredObject[]> {
    const path = join(this.#root, folder);
    return listFolder({
      path,
      names: () => this.#namesIn(path),
      isListed: (name) => name.startsWith(prefix) && partitionOf(name) === folder,
      sync: () => this.#synced(path),
    });
  }

  /** The names in a partition's folder, of objects and of any other files. */
  async #namesIn(path: string): Promise<string[]> {
    try {
      return await readNames(path, checkPlace(path, this.#owners));
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

  /**
   * Makes what a list shows durable: a retry is acknowledged because a list shows the object, and
   * the process that stored it may have died before it synced the folder. False if the folder is
   * gone.
   */
  async #synced(path: string): Promise<boolean> {
    try {
      await this.#syncs.sync(path);
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** Creates a partition's folder; resolves once its entry in the root survives power loss. */
  async #makeFolder(folder: string): Promise<void> {
    if (this.#durableFolders.has(folder)) return;
    const path = join(this.#root, folder);
    if (!(await makeFolder(path))) checkPlace(path, this.#owners);
    await this.#syncs.sync(this.#root);
    this.#durableFolders.set(folder, true);
  }

  /**
   * Writes a temporary file and renames it to its name, unless that exists undamaged. False if the
   * temporary file or the folder was removed meanwhile.
   */
  async #write(
    name: string,
    body: Uint8Array,
    md5: string | undefined,
    fromReserve: boolean,
  ): Promise<boolean> {
    const aside = join(this.#temporary, randomUUID());
    const path = this.#path(name);
    const isTaken = fromReserve && (await this.#reserve.take(aside));
    const discard = () => (isTaken ? this.#reserve.giveBack(aside) : remove(aside));
    try {
      await (isTaken ? writeOver : writeNew)(aside, body);
      // Only a retry finds the file there.
      const size = sizeOf(path);
      const keep = typeof size === "number" && !(await mayReplace(path, size, body, md5));
      if (keep) await discard();
      else await move(aside, path);
      return true;
    } catch (error) {
      await discard();
      if (isNotFound(error)) return false;
      throw error;
    }
  }
}

/** Whether a stored file is damaged or cannot be read. Throws as `isDamaged` does. */
async function mayReplace(
  path: string,
  size: number,
  body: Uint8Array,
  md5: string | undefined,
): Promise<boolean> {
  if (md5 === undefined) return false;
  let stored: Uint8Array;
  try {
    stored = await (size < LARGE ? readWhole(path) : readLarge(path));
  } catch (error) {
    if (isUnreadable(error)) return true;
    throw error;
  }
  return isDamaged(stored, body, md5);
}

/** The path of a name in a folder. `join` also normalizes the path, which takes long. */
function inFolder(folder: string, name: string): string {
  return `${folder}/${name}`;
}
