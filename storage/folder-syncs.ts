import { closeSync, fstatSync, openSync, statSync } from "node:fs";
import { syncOpenFolder } from "./durable-files.ts";

/**
 * Makes changes to the names in folders durable, with syncs that are shared among callers.
 *
 * The system reports a failed write once to each descriptor that was open when it failed, and to
 * none that is opened later. So a folder is held open from before a change until after its sync, and
 * after a failed sync nothing that was changed through this hold counts.
 */
export class FolderSyncs {
  readonly #held = new Map<string, HeldFolder>();

  /**
   * Changes names in a folder; resolves once the change survives power loss, as far as the system can
   * sync folders. Rejects as well if a sync fails that another caller asked for meanwhile: it may
   * have covered this change.
   */
  async cover<Result>(path: string, change: () => Promise<Result>): Promise<Result> {
    const folder = this.#hold(path);
    folder.holders++;
    try {
      const result = await change();
      await folder.sync();
      return result;
    } finally {
      folder.holders--;
      const isUsed = folder.holders > 0 && !folder.hasFailed;
      if (!isUsed && this.#held.get(path) === folder) this.#held.delete(path);
      if (folder.holders === 0) folder.close();
    }
  }

  #hold(path: string): HeldFolder {
    const held = this.#held.get(path);
    if (held?.hasFailed === false) return held;
    const folder = new HeldFolder(path);
    this.#held.set(path, folder);
    return folder;
  }
}

class HeldFolder {
  holders = 0;
  hasFailed = false;
  readonly #path: string;
  readonly #descriptor: number;
  /** The last sync. It stays here where it has failed: all later ones fail with it. */
  #running: Promise<void> | undefined;
  /** The sync after the running one, if callers wait for it already. */
  #next: Promise<void> | undefined;

  constructor(path: string) {
    this.#path = path;
    // A name in the folder is about to change, so its own entry is in memory, or will be.
    this.#descriptor = openSync(path, "r");
  }

  /** Resolves once a sync has succeeded that began after this call. */
  sync(): Promise<void> {
    if (this.#running === undefined) return this.#begin();
    // The running sync may have begun too early for this caller; the next one has not begun.
    this.#next ??= this.#running.then(() => this.#begin());
    return this.#next;
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #begin(): Promise<void> {
    this.#next = undefined;
    this.#running = this.#sync().then(
      () => {
        if (this.#next === undefined) this.#running = undefined;
      },
      (error: unknown) => {
        this.hasFailed = true;
        throw error;
      },
    );
    return this.#running;
  }

  async #sync(): Promise<void> {
    const [held, present] = [fstatSync(this.#descriptor), statSync(this.#path)];
    if (held.ino !== present.ino || held.dev !== present.dev) throw new FolderReplaced(this.#path);
    await syncOpenFolder(this.#descriptor);
  }
}

/** The folder in which names were changed may be another one than is held open. */
class FolderReplaced extends Error {
  override name = "FolderReplaced";
  /** Also where another folder has its name: the change has to be made again. */
  readonly code = "ENOENT";
  constructor(path: string) {
    super(`${path} was replaced by another folder`);
  }
}
