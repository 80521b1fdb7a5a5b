/**
 * The guests of the users on a list: a file for each in the folder with the uses of invites. The name of
 * the file is the fingerprint of the guest, and its content its host and until when it is accepted.
 */
import { readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { KeyedQueue } from "../oplog/keyed-queue.ts";
import { type Fingerprint, isFingerprint } from "../oplog/names.ts";
import { StorageUnavailable } from "../storage/driver.ts";
import type { Guest } from "../sync/guests.ts";
import { syncFolder, writeNamed } from "./durable-file.ts";
import { settledStamp, stampOf } from "./file-stamp.ts";
import type { InviteFolder } from "./invite-folder.ts";
import { hasCode } from "./system-error.ts";

const ENDING = ".guest";

/** The guests in the folder that servers with one list share. */
export class GuestFolder {
  readonly #folder: InviteFolder;
  /** A look at the folder that is under way must not undo what is written meanwhile. */
  readonly #queue = new KeyedQueue();
  #guests: ReadonlyMap<Fingerprint, Guest> = new Map();
  /** What the folder looked like when it was read; `undefined` when it has to be read again. */
  #stamp: string | undefined;

  constructor(folder: InviteFolder) {
    this.#folder = folder;
  }

  /** The guests, those of the last hour included, as last read. */
  get guests(): ReadonlyMap<Fingerprint, Guest> {
    return this.#guests;
  }

  /**
   * Reads the guests if the folder has changed since the last call; none if there is no folder. Returns
   * why files could not be taken, which are left out. Throws `StorageUnavailable`.
   */
  read(): Promise<readonly Error[]> {
    return this.#queue.run("", () => this.#read());
  }

  async #read(): Promise<readonly Error[]> {
    const { path } = this.#folder;
    const faults: Error[] = [];
    try {
      const stats = await stat(path, { bigint: true });
      if (this.#stamp !== undefined && stampOf(stats) === this.#stamp) return [];
      const stamp = settledStamp(stats);
      const guests = new Map<Fingerprint, Guest>();
      for (const name of await readdir(path)) {
        const user = name.endsWith(ENDING) ? name.slice(0, -ENDING.length) : "";
        if (!isFingerprint(user)) continue;
        const guest = await guestIn(join(path, name));
        if (guest instanceof Error) faults.push(guest);
        else if (guest !== undefined) guests.set(user, guest);
      }
      this.#guests = guests;
      this.#stamp = stamp;
    } catch (error) {
      if (!hasCode(error, "ENOENT")) throw unavailable(`could not read guests in ${path}`, error);
      this.#guests = new Map();
    }
    return faults;
  }

  /** Records a guest durably. A process that is killed may leave it recorded or not. Throws `StorageUnavailable`. */
  add(user: Fingerprint, guest: Guest): Promise<void> {
    return this.#queue.run("", () => this.#add(user, guest));
  }

  async #add(user: Fingerprint, guest: Guest): Promise<void> {
    const { path } = this.#folder;
    try {
      this.#folder.prepare();
      const text = `${guest.host} ${new Date(guest.until).toISOString()}\n`;
      await writeNamed(join(path, user + ENDING), text, rename);
      await syncFolder(path);
      await syncFolder(dirname(path));
    } catch (error) {
      throw unavailable(`could not record a guest in ${path}`, error);
    }
    this.#guests = new Map(this.#guests).set(user, guest);
  }

  /** Forgets a guest. A power loss may bring it back: it has expired. */
  remove(user: Fingerprint): Promise<void> {
    return this.#queue.run("", async () => {
      await rm(join(this.#folder.path, user + ENDING), { force: true });
      const rest = new Map(this.#guests);
      rest.delete(user);
      this.#guests = rest;
    });
  }
}

function unavailable(what: string, cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  return new StorageUnavailable(`${what}: ${cause.message}`, { cause });
}

/** `undefined` where another process has just removed the file. */
async function guestIn(path: string): Promise<Guest | Error | undefined> {
  try {
    const [host = "", time = ""] = (await readFile(path, "utf8")).trim().split(" ");
    const until = Date.parse(time);
    if (isFingerprint(host) && !Number.isNaN(until)) return { host, until };
    return new Error(`there is no guest in ${path}: remove it`);
  } catch (error) {
    if (!hasCode(error, "ENOENT")) throw error;
    return undefined;
  }
}
