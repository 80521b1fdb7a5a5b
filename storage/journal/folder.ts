/** The calls by which journals are kept in a folder. */
import { randomUUID } from "node:crypto";
import {
  closeSync,
  constants,
  fdatasync as fdatasyncCallback,
  fstatSync,
  futimesSync,
  lstatSync,
  open as openCallback,
  openSync,
  readdirSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import { isNotFound, isUnreadable, move, remove, systemCodeOf } from "../durable-files.ts";
import { FolderSyncs } from "../folder-syncs.ts";
import { Reserve } from "../reserve.ts";
import { PLACE_BYTES } from "./header.ts";

/** A journal that was created, and is claimed. */
export interface Created {
  readonly file: JournalFile;
  readonly claim: Claim;
}

/** A folder of journals. Every call may throw an error of the system. */
export interface JournalFolder {
  /** The names of the journals, in order. There are none before the first one is created. */
  names(): readonly string[];
  /** Whether a process has a claim to a journal; those that end well leave none. */
  isClaimed(name: string): boolean;
  /** A name that no journal has or had. */
  newName(): string;
  /** Creates a journal, empty, and claims it; resolves once its name survives power loss. */
  create(name: string): Promise<Created>;
  /** As `create`, in room that is kept for when there is no other; `undefined` where that is used. */
  createFromReserve(name: string): Promise<Created | undefined>;
  /** Keeps room again, once there may be some. */
  fillReserve(): Promise<void>;
  /** Opens a journal to read it; `undefined` where no file has this name. */
  open(name: string): JournalFile | undefined;
  /** Claims a journal: whoever had it before has it no more. `undefined` if another was faster. */
  claim(name: string): Promise<Claim | undefined>;
  /** Removes claims to journals that are gone, as a process leaves them that dies. */
  sweep(): Promise<void>;
  /** Resolves once a journal is gone for good, and as well where there was none. */
  remove(name: string): Promise<void>;
}

/** A claim to write to a journal, or to empty it: the name of a file that each adoption renames. */
export interface Claim {
  /** False once another process has claimed the journal, or where it was removed. */
  holds(): boolean;
  /** Gives it up, so that others need not wait to adopt the journal. */
  release(): void;
}

/** An open journal, which may have been removed meanwhile. */
export interface JournalFile {
  /** The size in bytes. */
  size(): number;
  /** Bytes from an offset on: fewer than asked for where the file ends. */
  read(offset: number, length: number): Buffer;
  /** As `read`, with zeros where the disk cannot read. */
  salvage(offset: number, length: number): Buffer;
  /** Writes all bytes. They survive the process, and a power loss after `sync`. */
  write(bytes: Uint8Array, offset: number): Promise<void> | void;
  /** As `write`, at once: nothing else happens in this process meanwhile. */
  writeNow(bytes: Uint8Array, offset: number): void;
  /** Makes durable what this process has written. */
  sync(): Promise<void>;
  /** Differs from that of each copy of the file. */
  place(): Buffer;
  /** True once its name is gone, or is that of another file. */
  isGone(): boolean;
  /** Milliseconds since it was last written or touched, or until then where a clock was ahead. */
  age(): number;
  /** Shows that its owner lives, or that copies may need what it holds. */
  touch(): void;
  close(): void;
}

const openFile = promisify(openCallback);
const fdatasync = promisify(fdatasyncCallback);

const BLOCK = 4096;

/** The name of a claim, and that of its journal. */
const CLAIM = /^(.{44})\.\d{1,9}$/;

/** Follows no link, which may lead anywhere, and does not wait for what writes to a pipe. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** The names that `newName` makes. */
const isJournalName = (name: string) =>
  /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.journal$/.test(name);

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

/** A folder on disk. Small reads and writes are synchronous: they go to and from the page cache. */
export class DiskFolder implements JournalFolder {
  readonly #path: string;
  readonly #reserve: JournalReserve;
  readonly #prepare: () => Promise<void>;
  readonly #syncs = new FolderSyncs();

  constructor({ path, reserve, prepare }: DiskFolderOptions) {
    this.#path = path;
    this.#reserve = reserve;
    this.#prepare = prepare;
  }

  names(): string[] {
    return this.#entries().filter(isJournalName).sort();
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
    try {
      const path = this.#pathOf(name);
      const descriptor = openSync(path, READ);
      if (fstatSync(descriptor).isFile()) return new DiskFile(descriptor, path);
      closeSync(descriptor);
      return undefined;
    } catch (error) {
      if (isNotFound(error) || systemCodeOf(error) === "ELOOP") return undefined;
      throw error;
    }
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
    for (const entry of this.#entries()) {
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

  #entries(): string[] {
    try {
      return readdirSync(this.#path);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      // Throws where the whole storage is gone.
      statSync(dirname(this.#path));
      return [];
    }
  }

  #claimsOf(name: string): string[] {
    return this.#entries().filter((other) => other.startsWith(`${name}.`));
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

class DiskFile implements JournalFile {
  #descriptor: number;
  readonly #path: string;

  constructor(descriptor: number, path: string) {
    this.#descriptor = descriptor;
    this.#path = path;
  }

  size(): number {
    return fstatSync(this.#descriptor).size;
  }

  read(offset: number, length: number): Buffer {
    const bytes = Buffer.allocUnsafeSlow(length);
    let done = 0;
    while (done < length) {
      const count = readSync(this.#descriptor, bytes, done, length - done, offset + done);
      if (count === 0) return bytes.subarray(0, done);
      done += count;
    }
    return bytes;
  }

  salvage(offset: number, length: number): Buffer {
    try {
      return this.read(offset, length);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      // Not the block that the fault is in, but half of what is left until it is one block.
      if (length <= BLOCK) return Buffer.alloc(length);
      const half = Math.ceil(length / 2 / BLOCK) * BLOCK;
      return Buffer.concat([
        this.salvage(offset, half),
        this.salvage(offset + half, length - half),
      ]);
    }
  }

  write(bytes: Uint8Array, offset: number): void {
    this.writeNow(bytes, offset);
  }

  writeNow(bytes: Uint8Array, offset: number): void {
    let done = 0;
    while (done < bytes.byteLength) {
      done += writeSync(this.#descriptor, bytes, done, bytes.byteLength - done, offset + done);
    }
  }

  sync(): Promise<void> {
    return fdatasync(this.#descriptor);
  }

  place(): Buffer {
    const { ino, birthtimeMs } = fstatSync(this.#descriptor, { bigint: true });
    const place = Buffer.alloc(PLACE_BYTES);
    place.writeBigUInt64LE(ino);
    // Deno does not know the nanoseconds.
    place.writeBigUInt64LE(BigInt.asUintN(64, birthtimeMs), PLACE_BYTES / 2);
    return place;
  }

  isGone(): boolean {
    const { ino, dev } = fstatSync(this.#descriptor);
    // The folder may have been moved away, with a restored one in its place.
    const found = lstatSync(this.#path, { throwIfNoEntry: false });
    return found?.ino !== ino || found.dev !== dev;
  }

  age(): number {
    return Math.abs(Date.now() - fstatSync(this.#descriptor).mtimeMs);
  }

  touch(): void {
    const now = new Date();
    futimesSync(this.#descriptor, now, now);
  }

  close(): void {
    closeSync(this.#descriptor);
    // The system gives the number to the next file that is opened.
    this.#descriptor = -1;
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
