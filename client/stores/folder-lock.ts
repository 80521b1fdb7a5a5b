import { open, readdir, rm, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import { clearInterval, setInterval } from "node:timers";
import { hasCode } from "./folder-files.ts";

/**
 * The locks of this process: a lock with its process id but without an entry here was left by an
 * earlier process. Global, because the process is.
 */
const held = new Set<string>();

const pattern = /^claim\.(.+)\.(\d+)\.([0-9a-f-]{36})$/;

/** How often a lock is renewed. */
const RENEW_MS = 10_000;
/**
 * The age at which a lock counts as left by a dead process. A process id says nothing where it now
 * belongs to another program, or where the host has another name than before.
 */
const STALE_MS = 60_000;

/** A lock that may be that of a dead process, and may not. */
export interface HeldFolder {
  readonly folder: string;
  /** The name of the host on which the process ran. */
  readonly host: string;
  /** When the folder is free, if the process does not live. */
  readonly until: Date;
}

/**
 * A lock on a folder, by a file that names the process: no file lock works on all three runtimes.
 * Each process first creates its file and then looks for others. So two never both hold the lock,
 * though both may give way. A process renews its file while it lives; files of dead processes are
 * removed.
 */
export class FolderLock {
  readonly #path: string;
  readonly #id: string;
  readonly #timer: ReturnType<typeof setInterval>;
  #renewed = Date.now();
  /** Why it is no longer held. */
  #lost: Error | undefined;

  private constructor(path: string, id: string) {
    this.#path = path;
    this.#id = id;
    this.#timer = setInterval(() => {
      // `check` reports what fails here.
      this.#renew().catch(() => undefined);
    }, RENEW_MS);
    this.#timer.unref();
  }

  /**
   * Locks a folder; `undefined` if it is locked, by this process or another one.
   *
   * @param onHeld called for a lock that seems to be left: of another host, or not renewed
   */
  static async acquire(
    folder: string,
    onHeld: (held: HeldFolder) => void,
  ): Promise<FolderLock | undefined> {
    const host = hostname().replace(/[^A-Za-z0-9-]/g, "_");
    const id = crypto.randomUUID();
    const name = `claim.${host}.${process.pid}.${id}`;
    const lock = new FolderLock(join(folder, name), id);
    held.add(id);
    try {
      await (await open(lock.#path, "wx", 0o600)).close();
      for (const other of await readdir(folder)) {
        const [, otherHost, pid, otherId = ""] = pattern.exec(other) ?? [];
        if (otherHost === undefined || otherId === id) continue;
        const isKnown = held.has(otherId);
        const mayLive = isKnown || otherHost !== host || isAlive(Number(pid));
        const age = isKnown ? 0 : await ageOf(join(folder, other), lock.#path);
        if (mayLive && age <= STALE_MS) {
          await lock.release();
          if (!isKnown && (otherHost !== host || age > 2 * RENEW_MS)) {
            onHeld({ folder, host: otherHost, until: new Date(Date.now() + STALE_MS - age) });
          }
          return undefined;
        }
        await rm(join(folder, other), { force: true });
      }
      return lock;
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /**
   * Makes sure, before a change, that no other process has taken the lock: this one may have been
   * stopped for longer than it takes others to believe that it is dead.
   */
  async check(): Promise<void> {
    if (Math.abs(Date.now() - this.#renewed) > STALE_MS / 2) await this.#renew();
    if (this.#lost !== undefined) throw this.#lost;
  }

  /** Gives up the lock: another process may take it from now on. */
  async release(): Promise<void> {
    clearInterval(this.#timer);
    await rm(this.#path, { force: true });
    held.delete(this.#id);
  }

  /** Writes the file, so that the file system gives it the time of now. */
  async #renew(): Promise<void> {
    try {
      const file = await open(this.#path, "r+");
      try {
        await file.write("\n", 0);
      } finally {
        await file.close();
      }
      this.#renewed = Date.now();
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
      this.#lost = new Error("another process has taken over this folder: open it again");
    }
  }
}

/** Whether a process id of this host is in use, if only by another program. */
function isAlive(pid: number): boolean {
  // The locks of this process itself are known.
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // It is alive, and belongs to another account.
    return hasCode(error, "EPERM");
  }
}

/** The milliseconds since a lock was renewed, by the clock of the file system. */
async function ageOf(path: string, fresh: string): Promise<number> {
  try {
    const [{ mtimeMs: then }, { mtimeMs: now }] = await Promise.all([stat(path), stat(fresh)]);
    return Math.abs(now - then);
  } catch (error) {
    // It was given up meanwhile.
    if (hasCode(error, "ENOENT")) return Number.POSITIVE_INFINITY;
    throw error;
  }
}

/** Says on the console what `HeldFolder` means. */
export function warnHeld({ folder, host, until }: HeldFolder): void {
  console.warn(
    `${folder} is in use on the host ${JSON.stringify(host)}, or was until a process there ended. If it ` +
      `has ended, what it left unsent is taken over from ${until.toISOString()} on.`,
  );
}
