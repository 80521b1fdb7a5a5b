/**
 * Reads and writes whole files with as few passes through the runtime's thread pool as possible:
 * these take most of the CPU of a small file. Calls that may wait for the disk are asynchronous.
 * Calls that usually need only memory (looking up a name in a folder, closing a file) are not.
 */
import {
  closeSync,
  fstatSync,
  fsync as fsyncCallback,
  ftruncateSync,
  lstatSync,
  open as openCallback,
  openSync,
  read as readCallback,
  readFile,
  rename as renameCallback,
  unlink as unlinkCallback,
  write as writeCallback,
  writeSync,
} from "node:fs";
import { promisify } from "node:util";

const open = promisify(openCallback);
const read = promisify(readCallback);
const write = promisify(writeCallback);
const fsync = promisify(fsyncCallback);
const unlink = promisify(unlinkCallback);

/** From this size on a file is large: copying it takes longer than waking a thread. */
export const LARGE = 64 * 1024;

/**
 * Reads a whole file. Throws with the code ENOENT where there is none. The function with a callback
 * takes half the time of the one with promises on Node, and a third on Deno.
 */
export const readWhole: (path: string) => Promise<Uint8Array> = promisify(readFile);

/**
 * As `readWhole`, for a large file: in one pass through the thread pool. The memory is allocated
 * here, so that the runtime counts it and collects earlier files in time; Deno's `readFile` allocates
 * it elsewhere, which takes half as much memory again.
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

/** Creates a file that only this account can read; resolves once its bytes survive power loss. */
export async function writeNew(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await writeAll(file, bytes);
    await fsync(file);
  } finally {
    closeSync(file);
  }
}

/**
 * Replaces the content of a file in place, in the blocks that it has; resolves once the bytes survive
 * power loss.
 */
export async function writeOver(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, "r+");
  try {
    await writeAll(file, bytes);
    ftruncateSync(file, bytes.byteLength);
    await fsync(file);
  } finally {
    closeSync(file);
  }
}

/** Writes at the position of the file. */
async function writeAll(file: number, bytes: Uint8Array): Promise<void> {
  let length = 0;
  while (length < bytes.byteLength) {
    const rest = bytes.subarray(length);
    length +=
      rest.byteLength < LARGE ? writeSync(file, rest) : (await write(file, rest)).bytesWritten;
  }
}

/** The errors by which systems say that they cannot sync a folder, such as one on SMB. */
const CANNOT_SYNC_FOLDERS: ReadonlySet<unknown> = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP"]);

/**
 * Makes renames into a folder durable. False where the system cannot: then nothing more can be done
 * than the sync of each file.
 */
export async function syncFolder(path: string): Promise<boolean> {
  // A name in the folder was just written or read, so its own entry is in memory.
  const folder = openSync(path, "r");
  try {
    await fsync(folder);
    return true;
  } catch (error) {
    if (!CANNOT_SYNC_FOLDERS.has(systemCodeOf(error))) throw error;
    return false;
  } finally {
    closeSync(folder);
  }
}

/**
 * Deletes a file if it exists, and returns whether it did. `rm` would look at it first, which takes
 * as long again.
 */
export async function remove(path: string): Promise<boolean> {
  try {
    await unlink(path);
    return true;
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return false;
  }
}

/** Renames a file. With a callback for its speed, as `readWhole`. */
export const move: (from: string, to: string) => Promise<void> = promisify(renameCallback);

/**
 * The size of a file in bytes; `undefined` when nothing is there, `null` for anything but a file, such
 * as a link, which may lead anywhere. Synchronous: waking a thread takes many times as long.
 */
export function sizeOf(path: string): number | null | undefined {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  return entry?.isFile() === false ? null : entry?.size;
}

/** A running sync, and the next one if callers wait for it already. */
interface Syncing {
  running: Promise<void>;
  next: Promise<void> | undefined;
}

/** Syncs of folders, shared among callers that wait at the same time. */
export class FolderSyncs {
  readonly #folders = new Map<string, Syncing>();

  /**
   * Resolves once all renames into the folder before this call survive power loss, as far as the
   * system can sync folders. When a sync fails, callers that wait for the next one fail as well: the
   * system reports a failed write only once.
   */
  sync(path: string): Promise<void> {
    const folder = this.#folders.get(path);
    if (folder === undefined) return this.#begin(path);
    // The running sync may have begun too early for this caller; the next one has not begun.
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

/** The system's error code, such as ENOENT. */
export function systemCodeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

/** Whether nothing is at the path that was asked for. */
export function isNotFound(error: unknown): boolean {
  return systemCodeOf(error) === "ENOENT";
}

/** Faults of one file: of the disk below it, of its metadata, of its permissions. */
const UNREADABLE: readonly unknown[] = ["EIO", "EBADMSG", "EUCLEAN", "EACCES", "EPERM"];

/** Whether a file is there and cannot be read. */
export function isUnreadable(error: unknown): boolean {
  return UNREADABLE.includes(systemCodeOf(error));
}
