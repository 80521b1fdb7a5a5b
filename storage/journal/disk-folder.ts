/** Journals and the claims to them, in a folder on disk. */
import { randomUUID } from "node:crypto";
import { closeSync, lstatSync, open as openCallback, unlinkSync } from "node:fs";
import { promisify } from "node:util";
import { isNotFound, move, remove, systemCodeOf } from "../durable-files.ts";
import { FolderSyncs } from "../folder-syncs.ts";
import { Reserve } from "../reserve.ts";
import { DiskFile } from "./disk-file.ts";
import { DiskJournals, isJournalName } from "./disk-journals.ts";
import type { Claim, Created, JournalFile, JournalFolder } from "./folder.ts";

const openFile = promisify(openCallback);

/** The name of a claim, and that of its journal. */
const CLAIM = /^(.{44})\.\d{1,9}$/;

/** Room for a few thousand deletes, in bytes. */
const RESERVE_BYTES = 1024 * 1024;

/** What is kept on disk for one journal to be made of, when there is no other room. */
export interface JournalReserve {
  readonly journal: Reserve;
  readonly claim: Reserve;
}

/** @param folder of temporary files */
export async function openReserve(folder: string): Promise<JournalReserve> {
  const claim = await Reserve.open(folder, "claim-reserve", 0);
  return { claim, journal: await Reserve.open(folder, "journal-reserve", RESERVE_BYTES) };
}

export interface DiskFolderOptions {
  /** The folder of journals, below one that exists. */
  readonly path: string;
  readonly reserve: JournalReserve;
  /** Creates the folder of journals, where it is missing. */
  readonly prepare: () => Promise<void>;
}

export class DiskFolder implements JournalFolder {
  readonly #path: string;
  readonly #journals: DiskJournals;
  readonly #reserve: JournalReserve;
  readonly #prepare: () => Promise<void>;
  readonly #syncs = new FolderSyncs();

  constructor({ path, reserve, prepare }: DiskFolderOptions) {
    this.#path = path;
    this.#journals = new DiskJournals(path);
    this.#reserve = reserve;
    this.#prepare = prepare;
  }

  names(): string[] {
    return this.#journals.names();
  }

  isClaimed(name: string): boolean {
    return this.#claimsOf(name).length > 0;
  }

  newName(): string {
    return `${randomUUID()}.journal`;
  }

  async create(name: string): Promise<Created> {
    await this.#prepare();
    const created = await this.#create(name, async (path, claim) => {
      const descriptor = await openFile(path, "wx+", 0o600);
      return withFile(descriptor, () => createFile(claim));
    });
    if (created === undefined) throw new TypeError("a journal is created or this fails");
    return created;
  }

  async createFromReserve(name: string): Promise<Created | undefined> {
    const { journal, claim } = this.#reserve;
    await this.#prepare();
    return this.#create(name, async (path, claimPath) => {
      if (!(await journal.take(path))) return undefined;
      if (!(await claim.take(claimPath))) await createFile(claimPath);
      return openFile(path, "r+");
    });
  }

  async fillReserve(): Promise<void> {
    await this.#reserve.claim.fill();
    await this.#reserve.journal.fill();
  }

  async #create(
    name: string,
    make: (path: string, claim: string) => Promise<number | undefined>,
  ): Promise<Created | undefined> {
    const claim = this.#pathOf(`${name}.0`);
    const made: { descriptor?: number | undefined } = {};
    try {
      await this.#syncs.cover(this.#path, async () => {
        made.descriptor = await make(this.#pathOf(name), claim);
      });
    } catch (error) {
      if (made.descriptor !== undefined) closeSync(made.descriptor);
      await this.remove(name);
      throw error;
    }
    const { descriptor } = made;
    if (descriptor === undefined) return undefined;
    return { file: new DiskFile(descriptor, this.#pathOf(name)), claim: new DiskClaim(claim) };
  }

  open(name: string): JournalFile | undefined {
    return this.#journals.open(name);
  }

  async claim(name: string): Promise<Claim | undefined> {
    try {
      const before = this.#claimsOf(name)[0];
      if (before === undefined) return await this.#newClaim(name);
      const count = Number(before.slice(name.length + 1)) + 1;
      const path = this.#pathOf(`${name}.${count}`);
      await move(this.#pathOf(before), path);
      return new DiskClaim(path);
    } catch (error) {
      if (isNotFound(error) || systemCodeOf(error) === "EEXIST") return undefined;
      throw error;
    }
  }

  async sweep(): Promise<void> {
    for (const entry of this.#journals.entries()) {
      const name = CLAIM.exec(entry)?.[1];
      if (name === undefined || !isJournalName(name)) continue;
      // It was there before its first claim.
      const journal = lstatSync(this.#pathOf(name), { throwIfNoEntry: false });
      if (journal === undefined) await remove(this.#pathOf(entry));
    }
  }

  async remove(name: string): Promise<void> {
    await this.#syncs.cover(this.#path, async () => {
      // First, so that no claim that somebody still has is made once more.
      await remove(this.#pathOf(name));
      for (const claim of this.#claimsOf(name)) await remove(this.#pathOf(claim));
    });
  }

  async #newClaim(name: string): Promise<Claim> {
    const path = this.#pathOf(`${name}.0`);
    await createFile(path);
    return new DiskClaim(path);
  }

  #claimsOf(name: string): string[] {
    return this.#journals.entries().filter((other) => other.startsWith(`${name}.`));
  }

  #pathOf(name: string): string {
    return `${this.#path}/${name}`;
  }
}

class DiskClaim implements Claim {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  holds(): boolean {
    return lstatSync(this.#path, { throwIfNoEntry: false }) !== undefined;
  }

  release(): void {
    try {
      unlinkSync(this.#path);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
}

/** Closes an open file where the work fails. */
async function withFile(descriptor: number, work: () => Promise<void>): Promise<number> {
  try {
    await work();
    return descriptor;
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

async function createFile(path: string): Promise<void> {
  closeSync(await openFile(path, "wx", 0o600));
}
