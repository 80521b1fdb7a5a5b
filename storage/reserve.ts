/** Room that a data folder keeps for the time when its disk is full. */
import { randomUUID } from "node:crypto";
import { lstatSync } from "node:fs";
import { chmod, open, statfs } from "node:fs/promises";
import { join } from "node:path";
import { isNotFound, move, remove } from "./durable-files.ts";
import { isFull, isReadOnly, takesNothing } from "./folder-errors.ts";

/** Larger than any segment of usual payloads. */
const MOST_BYTES = 2 * 1024 * 1024;

/** A small file system gives up no more than this part of it. */
const SHARE = 1 / 8;

/**
 * A file without content that matters. When the disk is full, a body is written over it, which takes
 * no further block and no further inode.
 *
 * Processes share it. Each renames it before it touches it, and so has it alone: a process that still
 * wrote to it could otherwise write into the object that another has made of it.
 */
export class Reserve {
  readonly #folder: string;
  readonly #path: string;
  readonly #size: number;
  /** As far as this process knows: another one may have used it. */
  #isWhole = false;
  #filling: Promise<void> | undefined;

  private constructor(folder: string, name: string, size: number) {
    this.#folder = folder;
    this.#path = join(folder, name);
    this.#size = size;
  }

  /**
   * @param folder of temporary files, on the disk whose room is kept
   * @param name of the file
   * @param most its size, in bytes, on all but small file systems
   */
  static async open(folder: string, name = "reserve", most = MOST_BYTES): Promise<Reserve> {
    const { bsize, blocks } = await statfs(folder);
    const reserve = new Reserve(folder, name, Math.min(most, Math.floor(bsize * blocks * SHARE)));
    await reserve.fill();
    return reserve;
  }

  /** Makes it as large as it is to be, or as there is room for. To be called when there may be room. */
  fill(): Promise<void> {
    if (this.#isWhole) return Promise.resolve();
    this.#filling ??= this.#fill().finally(() => {
      this.#filling = undefined;
    });
    return this.#filling;
  }

  /** Gives it another name on its file system, for the caller alone. False where there is none. */
  async take(path: string): Promise<boolean> {
    await this.#filling;
    this.#isWhole = false;
    return this.#take(path);
  }

  /** Takes it back under its own name, whatever was written to it. False where it is gone. */
  async giveBack(path: string): Promise<boolean> {
    try {
      // Whatever was written to it may not be written over: see `NewFile`.
      await chmod(path, 0o600);
      await move(path, this.#path);
      return true;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      return false;
    }
  }

  async #take(path: string): Promise<boolean> {
    const found = lstatSync(this.#path, { throwIfNoEntry: false });
    // What is written through a link, also a hard one, is written to something else.
    if (found?.isFile() !== true || found.nlink !== 1) return false;
    return moved(this.#path, path);
  }

  async #fill(): Promise<void> {
    if (lstatSync(this.#path, { throwIfNoEntry: false })?.isDirectory() === true) {
      throw new Error(`${this.#path} is a folder, where the server keeps a file: remove it`);
    }
    const path = join(this.#folder, randomUUID());
    try {
      await this.#take(path);
      const isWhole = await grow(path, this.#size);
      this.#isWhole = (await this.giveBack(path)) && isWhole;
    } catch (error) {
      if (!isReadOnly(error)) await remove(path);
      // There is none yet, and no room for one.
      if (!takesNothing(error)) throw error;
    }
  }
}

/**
 * Makes a file as large by zeros, and creates it if necessary. False where there was no room for all
 * of them; those that found room stay.
 */
async function grow(path: string, size: number): Promise<boolean> {
  const file = await open(path, "a", 0o600);
  try {
    try {
      for (;;) {
        const missing = size - (await file.stat()).size;
        if (missing <= 0) return true;
        await file.write(new Uint8Array(missing));
      }
    } finally {
      // Some file systems say only now that there was no room.
      await file.close();
    }
  } catch (error) {
    if (!isFull(error)) throw error;
    return false;
  }
}

/** False where nothing is there: another process has it, or deleted it as a temporary file. */
async function moved(from: string, to: string): Promise<boolean> {
  try {
    await move(from, to);
    return true;
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return false;
  }
}
