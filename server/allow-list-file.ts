import { type BigIntStats, readFileSync, statSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import type { Fingerprint } from "../oplog/names.ts";
import {
  type AllowList,
  InvalidAllowList,
  parseAllowList,
  type UserLimits,
} from "../sync/allow-list.ts";

export interface AllowListFileOptions {
  readonly path: string;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
  /** Called once for each change of the file that could not be taken over. */
  readonly onFault: (error: InvalidAllowList) => void;
  /** Called with the list when it was read again. */
  readonly onRead?: (users: ReadonlyMap<Fingerprint, UserLimits>) => void;
}

/** How often the file is checked for a change, in milliseconds. */
const CHECK_EVERY = 1000;

/** A file this young may change again without showing it in its times. In milliseconds. */
const SETTLED_AFTER = 2000;

/**
 * The list of users in the file that `USERS` names. A question checks the file first if the last
 * check was a second ago, so a change takes effect within a second, even after an idle hour. While
 * the file is missing or wrong, the last good list stays in force.
 */
export class AllowListFile implements AllowList {
  readonly #options: AllowListFileOptions;
  #users: ReadonlyMap<Fingerprint, UserLimits>;
  /** What the file looked like when it was read; `undefined` when it has to be read again. */
  #stamp: string | undefined;
  #checkedAt: number;
  /** The check under way. */
  #check: Promise<void> | undefined;
  #fault: string | undefined;

  /** Reads the file. Throws `InvalidAllowList`, which names every line that is wrong. */
  constructor(options: AllowListFileOptions) {
    const { path, now } = options;
    this.#options = options;
    this.#checkedAt = now();
    try {
      this.#stamp = settledStamp(statSync(path, { bigint: true }));
      this.#users = parseAllowList(readFileSync(path, "utf8"));
    } catch (error) {
      throw faultOf(error, path);
    }
  }

  has(user: Fingerprint): boolean | Promise<boolean> {
    const now = this.#options.now();
    if (now - this.#checkedAt >= CHECK_EVERY) {
      this.#checkedAt = now;
      this.#check ??= this.#readChange().finally(() => {
        this.#check = undefined;
      });
    }
    return this.#check === undefined
      ? this.#users.has(user)
      : this.#check.then(() => this.#users.has(user));
  }

  limitsOf(user: Fingerprint): UserLimits | undefined {
    return this.#users.get(user);
  }

  async #readChange(): Promise<void> {
    const { path, onFault, onRead } = this.#options;
    try {
      const stats = await stat(path, { bigint: true });
      if (this.#stamp !== undefined && stampOf(stats) === this.#stamp) return;
      const stamp = settledStamp(stats);
      const text = await readFile(path, "utf8");
      this.#stamp = stamp;
      this.#users = parseAllowList(text);
      this.#fault = undefined;
      onRead?.(this.#users);
    } catch (error) {
      const fault = faultOf(error, path);
      // Once for each change: the file is checked every second.
      if (fault.message !== this.#fault) onFault(fault);
      this.#fault = fault.message;
    }
  }
}

/** The stamp of a file that is about to be read, if it will show the next change. */
function settledStamp(stats: BigIntStats): string | undefined {
  const settled = Date.now() - Number(stats.mtimeMs) > SETTLED_AFTER;
  return settled ? stampOf(stats) : undefined;
}

/** Another inode, another length or another time is a change. */
function stampOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
}

/** The fault to report. Throws any error that neither the list nor the system has caused. */
function faultOf(error: unknown, path: string): InvalidAllowList {
  if (error instanceof InvalidAllowList) {
    return new InvalidAllowList(`USERS=${path}\n${error.message}`);
  }
  const isOfSystem = error instanceof Error && "code" in error && "syscall" in error;
  if (!isOfSystem) throw error;
  return new InvalidAllowList(`could not read USERS=${path}: ${error.message}`, { cause: error });
}
