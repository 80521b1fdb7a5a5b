import { open, readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { hasCode } from "./folder-files.ts";

/**
 * The locks of this process: a lock with its process id but without an entry here was left by an
 * earlier process. Global, because the process is.
 */
const held = new Set<string>();

const pattern = /^claim\.(.+)\.(\d+)\.([0-9a-f-]{36})$/;

/**
 * A lock on a folder, by a file that names the process: no file lock works on all three runtimes.
 * Each process first creates its file and then looks for others. So two never both hold the lock,
 * though both may give way. Files of dead processes are removed.
 */
export class FolderLock {
  readonly #path: string;
  readonly #id: string;

  private constructor(path: string, id: string) {
    this.#path = path;
    this.#id = id;
  }

  /** Locks a folder; `undefined` if it is locked, by this process or another one. */
  static async acquire(folder: string): Promise<FolderLock | undefined> {
    const host = hostname().replace(/[^A-Za-z0-9-]/g, "_");
    const id = crypto.randomUUID();
    const name = `claim.${host}.${process.pid}.${id}`;
    const lock = new FolderLock(join(folder, name), id);
    held.add(id);
    await (await open(lock.#path, "wx", 0o600)).close();
    for (const other of await readdir(folder)) {
      const [, otherHost, pid, otherId = ""] = pattern.exec(other) ?? [];
      if (otherHost === undefined || otherId === id) continue;
      if (otherHost !== host || isAlive(Number(pid), otherId)) {
        await lock.release();
        return undefined;
      }
      await rm(join(folder, other), { force: true });
    }
    return lock;
  }

  /** Gives up the lock: another process may take it from now on. */
  async release(): Promise<void> {
    await rm(this.#path, { force: true });
    held.delete(this.#id);
  }
}

function isAlive(pid: number, id: string): boolean {
  if (pid === process.pid) return held.has(id);
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It is alive, and belongs to another account.
    return hasCode(error, "EPERM");
  }
}
