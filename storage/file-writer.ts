import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { makeCommitted, type Owners } from "./data-folder.ts";
import { isDamaged, type PutOptions, partitionOf } from "./driver.ts";
import {
  inFolder,
  isNotFound,
  isUnreadable,
  lookAt,
  move,
  NewFile,
  readFile,
  remove,
} from "./durable-files.ts";
import { isFull } from "./folder-errors.ts";
import { FolderSyncs } from "./folder-syncs.ts";
import { lruOf } from "./lru.ts";
import { NameLocks } from "./name-locks.ts";
import type { Reserve } from "./reserve.ts";

/** How many folders are remembered as durable, so that their parent is not synced for each put. */
const FOLDERS_REMEMBERED = 100_000;

/** How often a put is tried when its temporary file or its folder is removed under it. */
const PUT_ATTEMPTS = 5;

export interface FileWriterOptions {
  readonly root: string;
  /** The folder of temporary files. */
  readonly temporary: string;
  readonly owners: Owners;
  readonly reserve: Reserve;
}

interface WriteOptions extends PutOptions {
  /** Stores nothing where there is no file any more. */
  readonly isRenewal?: boolean;
}

/**
 * Stores objects as files, and deletes them. Each file is written aside, renamed to its name, and
 * committed once a sync of its folder has succeeded: see `NewFile`. One that is not committed counts
 * for nothing: a put of its name writes and renames it anew.
 */
export class FileWriter {
  readonly #options: FileWriterOptions;
  readonly #syncs = new FolderSyncs();
  readonly #durableFolders = lruOf<string, true>(FOLDERS_REMEMBERED);
  /** Of objects that are being stored or deleted, and of folders that are being made. */
  readonly #objectLocks = new NameLocks();
  readonly #folderLocks = new NameLocks();

  constructor(options: FileWriterOptions) {
    this.#options = options;
  }

  /** The path of an object. */
  pathOf(name: string): string {
    return inFolder(inFolder(this.#options.root, partitionOf(name)), name);
  }

  /** As `Driver.put`. False where the object was stored already. */
  put(name: string, body: Uint8Array, options: PutOptions): Promise<boolean> {
    return this.#objectLocks.run(name, () => this.#put(name, body, options));
  }

  /** False if there was none. */
  delete(name: string): Promise<boolean> {
    return this.#objectLocks.run(name, () => remove(this.pathOf(name)));
  }

  /**
   * Stores an object anew that is not committed: the process that stored it has died, or its sync has
   * failed. One that this process is storing is waited for.
   */
  renew(name: string): Promise<void> {
    return this.#objectLocks.run(name, async () => {
      const path = this.pathOf(name);
      const file = lookAt(path);
      if (file?.isCommitted !== false) return;
      let body: Uint8Array;
      try {
        body = await readFile(path, file.size);
      } catch (error) {
        // Another process has deleted it.
        if (isNotFound(error)) return;
        throw error;
      }
      const options = { isRenewal: true, storedAt: file.storedAt };
      try {
        await this.#put(name, body, options);
      } catch (error) {
        if (!isFull(error)) throw error;
        await this.#put(name, body, { ...options, fromReserve: true });
      }
    });
  }

  /** Forgets which folders are durable. */
  clear(): void {
    this.#durableFolders.clear();
  }

  async #put(name: string, body: Uint8Array, options: WriteOptions): Promise<boolean> {
    const folder = partitionOf(name);
    for (let attempt = 1; ; attempt++) {
      await this.#makeFolder(folder);
      const isNew = await this.#write(name, body, options);
      if (isNew !== undefined) return isNew;
      // Another process has deleted the temporary file or the partition's folder.
      this.#durableFolders.delete(folder);
      if (attempt === PUT_ATTEMPTS)
        throw new Error(`other processes undid ${PUT_ATTEMPTS} attempts`);
    }
  }

  /** Creates a partition's folder; resolves once its entry in the root survives power loss. */
  async #makeFolder(folder: string): Promise<void> {
    if (this.#durableFolders.has(folder)) return;
    const { root, owners } = this.#options;
    await this.#folderLocks.run(folder, () =>
      makeCommitted(join(root, folder), root, this.#syncs, owners),
    );
    this.#durableFolders.set(folder, true);
  }

  /**
   * Writes a temporary file, and gives it its name, unless that has a committed and undamaged one:
   * then it returns false. `undefined` if the temporary file or the folder was removed meanwhile.
   */
  async #write(
    name: string,
    body: Uint8Array,
    { md5, fromReserve = false, storedAt, isRenewal = false }: WriteOptions,
  ): Promise<boolean | undefined> {
    const { root, temporary, reserve } = this.#options;
    const aside = join(temporary, randomUUID());
    const path = this.pathOf(name);
    const isTaken = fromReserve && (await reserve.take(aside));
    const discard = () => (isTaken ? reserve.giveBack(aside) : remove(aside));
    try {
      const write = isTaken ? NewFile.over : NewFile.create;
      const file = await write(aside, body, storedAt);
      try {
        const isMoved = await this.#syncs.cover(join(root, partitionOf(name)), async () => {
          // Only a retry finds the file there.
          const found = lookAt(path);
          // Another process has deleted it.
          if (isRenewal && found === undefined) return false;
          if (found?.isCommitted && !(await mayReplace(path, found.size, body, md5))) return false;
          await move(aside, path);
          return true;
        });
        if (isMoved) file.commit();
        else await discard();
        return isMoved;
      } finally {
        file.close();
      }
    } catch (error) {
      await discard();
      if (isNotFound(error)) return undefined;
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
    stored = await readFile(path, size);
  } catch (error) {
    if (isUnreadable(error)) return true;
    throw error;
  }
  return isDamaged(stored, body, md5);
}
