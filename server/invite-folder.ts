/**
 * The uses of invites: a folder beside the list of users, with a file for each invite that was used.
 * The name of the file is the hash of the code, and its content the fingerprint of the user.
 */
import { accessSync, constants, mkdirSync } from "node:fs";
import { link, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type Fingerprint, isFingerprint } from "../oplog/names.ts";
import { StorageUnavailable } from "../storage/driver.ts";
import { syncFolder, writeNamed } from "./durable-file.ts";
import { settledStamp, stampOf } from "./file-stamp.ts";
import { hasCode } from "./system-error.ts";

const HASH = /^[0-9a-f]{64}$/;

/** The folder with the uses of the invites of one list; servers and commands share it. */
export class InviteFolder {
  readonly path: string;
  readonly #users = new Map<string, Fingerprint>();
  /** What the folder looked like when it was read; `undefined` when it has to be read again. */
  #stamp: string | undefined;

  /** @param list the path of the list */
  constructor(list: string) {
    this.path = `${list}.invites`;
  }

  /** The user of each used invite, by the invite's hash, as last read. A use is never undone. */
  get users(): ReadonlyMap<string, Fingerprint> {
    return this.#users;
  }

  /** Makes the folder. Throws an error of the system where this account cannot write to it. */
  prepare(): void {
    mkdirSync(this.path, { recursive: true });
    accessSync(this.path, constants.W_OK);
  }

  /**
   * Reads which invites were used since the last call; none if there is no folder. What it finds is durable.
   * Rejects with an error of the system, or with one that names a file without a fingerprint, once it has
   * read all others.
   */
  async read(): Promise<void> {
    try {
      const stats = await stat(this.path, { bigint: true });
      if (this.#stamp !== undefined && stampOf(stats) === this.#stamp) return;
      const stamp = settledStamp(stats);
      await this.#readNew(await readdir(this.path));
      this.#stamp = stamp;
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw error;
    }
  }

  async #readNew(names: readonly string[]): Promise<void> {
    const hashes = names.filter((name) => HASH.test(name) && !this.#users.has(name));
    if (hashes.length === 0) return;
    const found = await Promise.allSettled(hashes.map((hash) => this.#userIn(hash)));
    // Another process may have named a file and not lived to sync the name.
    await syncFolder(this.path);
    for (const [i, hash] of hashes.entries()) {
      const use = found[i];
      if (use?.status === "fulfilled") this.#users.set(hash, use.value);
    }
    // A damaged file is reported, after all others were taken into account.
    for (const use of found) if (use.status === "rejected") throw use.reason;
  }

  /**
   * Records that a user uses an invite, unless another user has used it: a file name can be created
   * only once, by any number of processes. Returns the user of the invite, once that is durable. A
   * process that is killed before leaves the invite open, or used by this user. Throws `StorageUnavailable`.
   */
  async claim(hash: string, user: Fingerprint): Promise<Fingerprint> {
    try {
      return await this.#claim(hash, user);
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const message = `could not record in ${this.path} which key used an invite: ${error.message}`;
      throw new StorageUnavailable(message, { cause: error });
    }
  }

  async #claim(hash: string, user: Fingerprint): Promise<Fingerprint> {
    this.prepare();
    const path = join(this.path, hash);
    try {
      await writeNamed(path, `${user}\n`, link);
    } catch (error) {
      if (!hasCode(error, "EEXIST")) throw error;
    }
    await syncFolder(this.path);
    await syncFolder(dirname(this.path));
    const first = await this.#userIn(hash);
    this.#users.set(hash, first);
    return first;
  }

  async #userIn(hash: string): Promise<Fingerprint> {
    const path = join(this.path, hash);
    const text = (await readFile(path, "utf8")).trim();
    if (isFingerprint(text)) return text;
    throw new Error(`there is no fingerprint in ${path}`);
  }
}
