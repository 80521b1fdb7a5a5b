import { statfs } from "node:fs/promises";
import { join, resolve } from "node:path";
import { checkWritable, type Owners, openDataFolder, TEMPORARY_FOLDER } from "./data-folder.ts";
import {
  checkName,
  type Driver,
  type PutOptions,
  type Room,
  type StoredObject,
  type Warn,
} from "./driver.ts";
import { lookAt } from "./durable-files.ts";
import { FileReader } from "./file-reader.ts";
import { FileWriter } from "./file-writer.ts";
import { guarded } from "./folder-errors.ts";
import { Reserve } from "./reserve.ts";

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
  readonly #temporary: string;
  /** The accounts whose folders are used. */
  readonly owners: Owners;
  readonly #reserve: Reserve;
  readonly #files: FileWriter;
  readonly #reader: FileReader;

  private constructor(root: string, temporary: string, owners: Owners, reserve: Reserve) {
    this.#temporary = temporary;
    this.owners = owners;
    this.#reserve = reserve;
    this.#files = new FileWriter({ root, temporary, owners, reserve });
    this.#reader = new FileReader({
      root,
      owners,
      present: temporary,
      renew: (name) => this.#files.renew(name),
      checkDisk: () => checkWritable(temporary),
    });
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

  list(prefix: string, withTimes?: boolean): Promise<StoredObject[]> {
    return this.#reader.list(prefix, withTimes);
  }

  get(name: string, size?: number): Promise<Uint8Array> {
    return this.#reader.get(name, size);
  }

  async put(name: string, body: Uint8Array, options?: PutOptions): Promise<void> {
    await this.store(name, body, options);
  }

  /** As `put`. False where the object was stored already. */
  async store(name: string, body: Uint8Array, options: PutOptions = {}): Promise<boolean> {
    checkName(name);
    return guarded("store an object", () => this.#files.put(name, body, options));
  }

  /** Whether an object of this name is stored. */
  has(name: string): boolean {
    return Boolean(lookAt(this.#files.pathOf(name)));
  }

  async delete(name: string): Promise<void> {
    checkName(name);
    await guarded("delete an object", async () => {
      if (!(await this.#files.delete(name))) await this.#reader.checkPresent();
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

  async room(): Promise<Room> {
    const { bavail, bsize, blocks, files, ffree } = await statfs(this.#temporary);
    return {
      free: bavail * bsize,
      size: blocks * bsize,
      freeFiles: files > 0 ? ffree : undefined,
    };
  }

  async close(): Promise<void> {
    this.#files.clear();
  }
}
