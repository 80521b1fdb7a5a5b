/**
 * Reads and writes whole files with as few passes through the runtime's thread pool as possible:
 * these take most of the CPU of a small file. Calls that may wait for the disk are asynchronous.
 * Calls that usually need only memory (looking up a name in a folder, closing a file) are not.
 */
import {
  closeSync,
  fchmodSync,
  fstatSync,
  fsync as fsyncCallback,
  ftruncateSync,
  futimesSync,
  lstatSync,
  open as openCallback,
  openSync,
  read as readCallback,
  readFile as readFileCallback,
  rename as renameCallback,
  type Stats,
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
const LARGE = 64 * 1024;

/**
 * Reads a whole file. Throws with the code ENOENT where there is none. The function with a callback
 * takes half the time of the one with promises on Node, and a third on Deno.
 */
export const readWhole: (path: string) => Promise<Uint8Array> = promisify(readFileCallback);

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

/** Reads a whole file. Throws with the code ENOENT where there is none. */
export function readFile(path: string, size: number): Promise<Uint8Array> {
  return size < LARGE ? readWhole(path) : readLarge(path);
}

/**
 * The bit of a mode by which a file or a folder is *committed*: its owner may write to it. Each is made
 * without it, gets its name, and is committed once a sync has made the name durable. So all processes
 * see which names nobody vouches for: one that another process is about to commit, or did not live to
 * commit, or could not because the sync failed. A later sync of the folder says nothing about these,
 * because the system reports a failed write only once.
 *
 * The commit is not synced. After a power loss a name without it may count as stored, and what the
 * disk has then is durable.
 */
const COMMITTED = 0o200;

const UNCOMMITTED_FILE = 0o400;
export const UNCOMMITTED_FOLDER: number = 0o500;

export function isCommitted({ mode }: Stats): boolean {
  return (mode & COMMITTED) !== 0;
}

/** Commits an open file or folder. */
export function commit(descriptor: number): void {
  const entry = fstatSync(descriptor);
  // Some network mounts show one mode for all files, and let nobody change it.
  if (!isCommitted(entry)) fchmodSync(descriptor, (entry.mode & 0o777) | COMMITTED);
}

/** A file of which all bytes survive power loss, open until its name does as well. */
export class NewFile {
  readonly #descriptor: number;

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /**
   * Creates a file that only this account can read.
   *
   * @param storedAt its time of modification in milliseconds of Unix time, if not the present
   */
  static create(path: string, bytes: Uint8Array, storedAt?: number): Promise<NewFile> {
    return NewFile.#make(path, "wx", async (file) => {
      await writeAll(file, bytes);
      setTime(file, storedAt);
    });
  }

  /** As `create`, but replaces the content of a file in place, in the blocks that it has. */
  static over(path: string, bytes: Uint8Array, storedAt?: number): Promise<NewFile> {
    return NewFile.#make(path, "r+", async (file) => {
      await writeAll(file, bytes);
      ftruncateSync(file, bytes.byteLength);
      fchmodSync(file, UNCOMMITTED_FILE);
      setTime(file, storedAt);
    });
  }

  static async #make(
    path: string,
    flags: string,
    write: (file: number) => Promise<void>,
  ): Promise<NewFile> {
    const file = await open(path, flags, UNCOMMITTED_FILE);
    try {
      await write(file);
      await fsync(file);
      return new NewFile(file);
    } catch (error) {
      closeSync(file);
      throw error;
    }
  }

  /** To be called once the sync of its folder has succeeded, by what was open before it was named. */
  commit(): void {
    commit(this.#descriptor);
  }

  close(): void {
    closeSync(this.#descriptor);
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

/** The errors by which systems say that a file cannot have this time, or any but the present. */
const CANNOT_SET_TIMES: ReadonlySet<unknown> = new Set([
  "EPERM",
  "EINVAL",
  "ENOSYS",
  "ENOTSUP",
  "EOPNOTSUPP",
]);

/** Dates a file. Where the system cannot, the file keeps the present, which is no earlier. */
function setTime(file: number, time: number | undefined): void {
  if (time === undefined) return;
  // Deno cuts off what is below a millisecond, which the division would make of a whole one.
  const seconds = (time + 0.01) / 1000;
  try {
    futimesSync(file, seconds, seconds);
  } catch (error) {
    if (!CANNOT_SET_TIMES.has(systemCodeOf(error))) throw error;
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
    return await syncOpenFolder(folder);
  } finally {
    closeSync(folder);
  }
}

/** As `syncFolder`, for a folder that is open. */
export async function syncOpenFolder(folder: number): Promise<boolean> {
  try {
    await fsync(folder);
    return true;
  } catch (error) {
    if (!CANNOT_SYNC_FOLDERS.has(systemCodeOf(error))) throw error;
    return false;
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

/** The path of a name in a folder. `join` also normalizes the path, which takes long. */
export function inFolder(folder: string, name: string): string {
  return `${folder}/${name}`;
}

/** Renames a file. With a callback for its speed, as `readWhole`. */
export const move: (from: string, to: string) => Promise<void> = promisify(renameCallback);

export interface FileFound {
  /** In bytes. */
  readonly size: number;
  /** False where nobody vouches that its name survives power loss. */
  readonly isCommitted: boolean;
  /** Its time of modification, in milliseconds of Unix time. */
  readonly storedAt: number;
}

/**
 * Looks at a file; `undefined` when nothing is there, `null` for anything but a file, such as a link,
 * which may lead anywhere. Synchronous: waking a thread takes many times as long.
 */
export function lookAt(path: string): FileFound | null | undefined {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry === undefined) return undefined;
  if (!entry.isFile()) return null;
  const storedAt = Math.round(entry.mtimeMs);
  return { size: entry.size, isCommitted: isCommitted(entry), storedAt };
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
