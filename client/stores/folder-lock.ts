import { open, readdir, rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";

/** The claims of this process, so that one left by an earlier process of the same id is told apart. */
const mine = new Set<string>();

const pattern = /^claim\.(.+)\.(\d+)\.([0-9a-f-]{36})$/;

/**
 * One process's claim to a folder: a file that names the process. There are no locks that all three
 * runtimes share. Each leaves its claim first and looks for others then, so two can never both
 * have the folder; both may step back. What dead processes have left is removed.
 */
export class FolderLock {
  readonly #path: string;
  readonly #id: string;

  private constructor(path: string, id: string) {
    this.#path = path;
    this.#id = id;
  }

  /** Claims a folder; `undefined` when another process, or another part of this one, has it. */
  static async take(folder: string): Promise<FolderLock | undefined> {
    const host = hostname().replace(/[^A-Za-z0-9-]/g, "_");
    const id = crypto.randomUUID();
    const name = `claim.${host}.${process.pid}.${id}`;
    const claim = new FolderLock(join(folder, name), id);
    mine.add(id);
    await (await open(claim.#path, "wx", 0o600)).close();
    for (const other of await readdir(folder)) {
      const [, otherHost, pid, otherId = ""] = pattern.exec(other) ?? [];
      if (otherHost === undefined || otherId === id) continue;
      if (otherHost !== host || isAlive(Number(pid), otherId)) {
        await claim.release();
        return undefined;
      }
      await rm(join(folder, other), { force: true });
    }
    return claim;
  }

  async release(): Promise<void> {
    await rm(this.#path, { force: true });
    mine.delete(this.#id);
  }
}

function isAlive(pid: number, id: string): boolean {
  if (pid === process.pid) return mine.has(id);
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // Not allowed to signal it: it lives, as another account.
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}
