/**
 * Reading and writing whole files, with as few turns through the runtime's thread pool as can be:
 * they are most of the CPU that a small file costs. What may wait for the disk is asynchronous; what
 * asks of memory alone, as a rule (whether a name is in a folder, closing a file), is not.
 */
import {
  closeSync,
  fstatSync,
  fsync as fsyncCallback,
  open as openCallback,
  openSync,
  read as readCallback,
  readFile,
  rename as renameCallback,
  statSync,
  unlink as unlinkCallback,
  write as writeCallback,
  writeSync,
} from "node:fs";
import { setImmediate } from "node:timers/promises";
import { promisify } from "node:util";

const open = promisify(openCallback);
const read = promisify(readCallback);
const write = promisify(writeCallback);
const fsync = promisify(fsyncCallback);
const unlink = promisify(unlinkCallback);

/** From so many bytes on a file is large: a thread is woken faster than they are copied. */
export const LARGE = 64 * 1024;

/** How long other work waits at most while the sizes of many files are asked. */
const SLICE_MS = 4;

/**
 * The whole contents of a file. Throws with the code ENOENT where there is none. The form with a
 * callback takes half the time of that with promises on Node, and a third on Deno.
 */
export const readWhole: (path: string) => Promise<Uint8Array> = promisify(readFile);

/**
 * As `readWhole`, for a file that was listed and is large: in one turn through the thread pool. The
 * memory is taken here, so that the runtime knows of it and frees what was read before; Deno's
 * `readFile` takes it elsewhere, and half as much again lies about.
 */
export async function readLarge(path: string): Promise<Uint8Array> {
  const file = openSync(path, "r");
  try {
    const bytes = new Uint8Array(fstatSync(file).size);
    let length = 0;
    while (length < bytes.byteLength) {
      const { bytesRead } = await read(file, bytes, length, bytes.byteLength - length, null);
      if (bytesRead === 0) return bytes.subarray(0, length);
      length += bytesRead;
    }
    return bytes;
  } finally {
    closeSync(file);
  }
}

/** Makes a new file of this account alone; returns once its bytes survive power loss. */
export async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    let length = 0;
    while (length < bytes.byteLength) {
      const rest = bytes.subarray(length);
      length +=
        rest.byteLength < LARGE ? writeSync(file, rest) : (await write(file, rest)).bytesWritten;
    }
    await fsync(file);
  } finally {
    closeSync(file);
  }
}

/** Makes renames into a folder durable. Not every system lets a folder be synced; Linux does. */
export async function syncFolder(path: string): Promise<void> {
  // What is in it was just renamed or read, so its entry is in memory.
  const folder = openSync(path, "r");
  try {
    await fsync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Removes a file, if it is there. `rm` looks at it first, which takes as long again. */
export async function remove(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
}

/** Moves a file. The form with a callback takes less, as that of `readFile` does. */
export const move: (from: string, to: string) => Promise<void> = promisify(renameCallback);

/**
 * The size of a file in bytes; `undefined` when nothing is there, `null` when it is no file. Asked
 * at once: a thread would take many times as long as the question.
 */
export function sizeOf(path: string): number | null | undefined {
  const entry = statSync(path, { throwIfNoEntry: false });
  return entry?.isFile() === false ? null : entry?.size;
}

/**
 * The sizes of files, as `sizeOf` gives them, in the order of their paths: for a few milliseconds
 * at a time, with room for other work in between.
 */
export async function sizesOf(paths: readonly string[]): Promise<(number | null | undefined)[]> {
  const sizes: (number | null | undefined)[] = [];
  let since = performance.now();
  for (const path of paths) {
    if (performance.now() - since > SLICE_MS) {
      await setImmediate();
      since = performance.now();
    }
    sizes.push(sizeOf(path));
  }
  return sizes;
}

/** A sync that runs, and the one after it that callers wait for already. */
interface Syncing {
  running: Promise<void>;
  next: Promise<void> | undefined;
}

/** Syncs of folders, shared among those that wait for one at the same time. */
export class FolderSyncs {
  readonly #folders = new Map<string, Syncing>();

  /**
   * Resolves once what was renamed into the folder before this call survives power loss. When a
   * sync fails, those that wait for the one after it fail as well: the system tells of it once.
   */
  sync(path: string): Promise<void> {
    const folder = this.#folders.get(path);
    if (folder === undefined) return this.#begin(path);
    // The one that runs may have begun too early for this caller; the next one has not begun.
    folder.next ??= folder.running.then(() => this.#begin(path));
    return folder.next;
  }

  #begin(path: string): Promise<void> {
    const running = syncFolder(path).then(
      () => {
        if (folder.next === undefined) this.#folders.delete(path);
      },
      (error: unknown) => {
        this.#folders.delete(path);
        throw error;
      },
    );
    const folder: Syncing = { running, next: undefined };
    this.#folders.set(path, folder);
    return running;
  }
}

/** The system's code of an error, such as ENOENT. */
export function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** Whether nothing is at the path that was asked for. */
export function isNotFound(error: unknown): boolean {
  return codeOf(error) === "ENOENT";
}
