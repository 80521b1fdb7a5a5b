/**
 * A disk in memory for several simulated processes: what is written is in the page cache at once and
 * on the disk after a sync. A power loss keeps what was synced, and of the rest as much as chance
 * has it. Before and after each call a scheduler decides who goes on.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { setImmediate } from "node:timers/promises";
import { ObjectMissing, type StoredObject } from "../../../storage/driver.ts";
import { guarded } from "../../../storage/folder-errors.ts";
import type { FileStore } from "../../../storage/journal/file-store.ts";
import type { Claim, JournalFile, JournalFolder } from "../../../storage/journal/folder.ts";
import { PLACE_BYTES } from "../../../storage/journal/header.ts";
import { Random } from "../../support/simulation/random.ts";

/** Chooses by a seed, so that a run can be repeated. */
export class Chance extends Random {
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  pick<Item>(items: readonly Item[]): Item | undefined {
    return items[this.below(items.length)];
  }
}

/** The disk was made to fail. */
export class SimulatedFault extends Error {}

interface Inode {
  /** A view of a larger buffer: what it shows never changes, because files only grow. */
  bytes: Buffer;
  durable: Buffer;
  /** Writes since the last sync. */
  pending: { readonly offset: number; readonly bytes: Buffer }[];
  /** Where a write or a sync failed: nothing may be written behind that. */
  failed: boolean;
  touched: number;
  /** Differs from that of each other file. */
  readonly place: Buffer;
}

/** A simulated process: once it is dead, no call of it has an effect or an end. */
export interface Process {
  alive: boolean;
  /** Suspended: its calls wait. */
  paused?: boolean;
}

/** A call that waits for its turn. */
interface Waiting {
  readonly process: Process;
  readonly go: () => void;
}

/** What was on a disk at one moment. */
export interface Frame {
  readonly journals: ReadonlyMap<string, { readonly bytes: Buffer; readonly place: Buffer }>;
  readonly files: ReadonlySet<string>;
}

export class SimulatedDisk {
  readonly chance: Chance;
  /** Milliseconds. */
  time = 0;
  /** Whether it takes nothing new. */
  isReadOnly = false;
  /** How often a call fails. */
  faults = 0;
  /** The call that fails, counted from 1. */
  failAt = 0;
  calls = 0;
  readonly #journals = new Map<string, Inode>();
  /** How often each journal has been claimed. */
  readonly #claims = new Map<string, number>();
  readonly #files = new Map<string, Buffer>();
  readonly #waiting: Waiting[] = [];
  /** Files in puts and deletes which have not returned. */
  readonly #storing = new Set<{ readonly name: string; readonly process: Process }>();
  /** The names of files in the order in which puts and deletes of them have returned. */
  readonly #stored: string[] = [];
  /** The files that each process has made, until it deletes them or writes of them to a journal. */
  readonly #made = new Map<Process, Set<string>>();
  /** Called with the names of files that were just stored when a journal is removed. */
  onRemoved: (storing: readonly string[]) => void = () => undefined;
  /** Called when a call of a process fails, with the files that it may still be about to delete. */
  onFault: (made: readonly string[]) => void = () => undefined;

  constructor(chance: Chance) {
    this.chance = chance;
  }

  /** Lets one call go on. False where none waits. */
  step(): boolean {
    for (let at = this.#waiting.length; at-- > 0; ) {
      if (this.#waiting[at]?.process.alive === false) this.#waiting.splice(at, 1);
    }
    const next = this.chance.pick(this.#waiting.filter(({ process }) => process.paused !== true));
    if (next === undefined) return false;
    this.#waiting.splice(this.#waiting.indexOf(next), 1);
    next.go();
    return true;
  }

  /** Lets calls go on until some work is done. */
  async run<Result>(work: Promise<Result>, beforeStep?: () => void): Promise<Result> {
    let isDone = false;
    const end = () => {
      isDone = true;
    };
    work.then(end, end);
    while (!isDone) {
      await setImmediate();
      beforeStep?.();
      this.step();
    }
    return work;
  }

  /** What is on it at this moment. */
  frame(): Frame {
    const journals = [...this.#journals].map(([name, inode]) => [name, { ...inode }] as const);
    return { journals: new Map(journals), files: new Set(this.#files.keys()) };
  }

  /** The files that a process is storing or deleting. */
  storing(process?: Process): string[] {
    return [...this.#storing]
      .filter((some) => process === undefined || some.process === process)
      .map(({ name }) => name);
  }

  /** Returns what finds the files that are, or were meanwhile, stored or deleted by any process. */
  watchStoring(): () => Set<string> {
    const from = this.#stored.length;
    return () => new Set([...this.#stored.slice(from), ...this.storing()]);
  }

  hasFile(name: string): boolean {
    return this.#files.has(name);
  }

  /** Ends all processes, and keeps what has to survive. */
  losePower(): void {
    for (const inode of this.#journals.values()) {
      let bytes = inode.durable;
      for (const write of inode.pending) {
        const part = write.bytes.subarray(0, this.chance.below(write.bytes.byteLength + 1));
        if (this.chance.next() < 0.5) bytes = overwritten(bytes, part, write.offset);
      }
      inode.bytes = bytes;
      inode.durable = bytes;
      inode.pending = [];
    }
  }

  /**
   * Copies everything to another disk, file by file, in any order, while the processes go on. A file
   * that is gone by then is left out.
   */
  async copyTo(other: SimulatedDisk): Promise<void> {
    const self: Process = { alive: true };
    const copyJournals = async () => {
      for (const name of this.#shuffled(this.#journals.keys())) {
        await this.#turn(self);
        const inode = this.#journals.get(name);
        if (inode === undefined) continue;
        let copied = Buffer.alloc(0);
        while (copied.byteLength < inode.bytes.byteLength) {
          const piece = 1 + this.chance.below(300);
          copied = Buffer.concat([
            copied,
            inode.bytes.subarray(copied.byteLength, copied.byteLength + piece),
          ]);
          await this.#turn(self);
        }
        other.#journals.set(name, other.#newInode(overwritten(copied, new Uint8Array(), 0)));
        if (this.chance.next() < 0.5) other.#claims.set(name, 0);
      }
    };
    const copyFiles = async () => {
      for (const name of this.#shuffled(this.#files.keys())) {
        await this.#turn(self);
        const body = this.#files.get(name);
        if (body !== undefined) other.#files.set(name, body);
      }
    };
    for (const copy of this.chance.next() < 0.5
      ? [copyFiles, copyJournals]
      : [copyJournals, copyFiles]) {
      await this.#turn(self);
      await copy();
    }
  }

  folder(process: Process): JournalFolder {
    const turn = () => this.#turn(process);
    return {
      names: () => {
        this.#mayFail(process, "list journals");
        return [...this.#journals.keys()].sort();
      },
      isClaimed: (name) => {
        this.#mayFail(process, "list claims");
        return this.#claims.has(name);
      },
      newName: () => `${this.chance.next().toString(36)}.journal`,
      create: async (name) => {
        await turn();
        this.#mayFail(process, "create a journal");
        const inode = this.#newInode();
        this.#journals.set(name, inode);
        await turn();
        this.#mayFail(process, "claim a journal");
        this.#claims.set(name, 0);
        await turn();
        return { file: this.#file(name, inode, process), claim: this.#claim(name, 0) };
      },
      createFromReserve: async () => undefined,
      fillReserve: async () => undefined,
      open: (name) => {
        this.#mayFail(process, "open a journal");
        const inode = this.#journals.get(name);
        return inode && this.#file(name, inode, process);
      },
      claim: async (name) => {
        await turn();
        const before = this.#claims.get(name) ?? -1;
        await turn();
        this.#mayFail(process, "claim a journal");
        if ((this.#claims.get(name) ?? -1) !== before) return undefined;
        this.#claims.set(name, before + 1);
        await turn();
        return this.#claim(name, before + 1);
      },
      sweep: async () => undefined,
      remove: async (name) => {
        await turn();
        this.#mayFail(process, "remove a journal");
        this.#journals.delete(name);
        this.onRemoved(this.storing());
        await turn();
        this.#mayFail(process, "remove a claim");
        this.#claims.delete(name);
        await turn();
      },
    };
  }

  #claim(name: string, count: number): Claim {
    const holds = () => this.#claims.get(name) === count;
    return {
      holds,
      release: () => {
        if (holds()) this.#claims.delete(name);
      },
    };
  }

  files(process: Process): FileStore {
    const turn = () => this.#turn(process);
    const files: FileStore = {
      has: (name) => this.#files.has(name),
      list: async (prefix): Promise<StoredObject[]> => {
        await turn();
        this.#mayFail(process, "list a file");
        const found = [...this.#files].filter(([name]) => name.startsWith(prefix));
        await turn();
        return found.map(([name, { byteLength }]) => ({ name, size: byteLength }));
      },
      get: async (name) => {
        await turn();
        this.#mayFail(process, "read a file");
        const body = this.#files.get(name);
        await turn();
        if (body === undefined) throw new ObjectMissing(name);
        return body;
      },
      store: async (name, body) => {
        await turn();
        await guarded("store an object", async () => this.#mayFail(process, "store a file"));
        const storing = { name, process };
        this.#storing.add(storing);
        const isNew = !this.#files.has(name);
        if (isNew) {
          this.#files.set(name, Buffer.from(body));
          this.#madeBy(process).add(name);
        }
        await turn();
        this.#storing.delete(storing);
        this.#stored.push(name);
        return isNew;
      },
      put: async (name, body) => {
        await files.store(name, body);
      },
      delete: async (name) => {
        // Perhaps by the process that has just stored it.
        const storing = { name, process };
        this.#storing.add(storing);
        await turn();
        this.#mayFail(process, "delete a file");
        this.#files.delete(name);
        this.#madeBy(process).delete(name);
        await turn();
        this.#storing.delete(storing);
        this.#stored.push(name);
      },
      close: async () => undefined,
    };
    return files;
  }

  #file(name: string, inode: Inode, process: Process): JournalFile {
    const disk = this;
    let isOpen = true;
    const opened = () => {
      assert.ok(isOpen, "a closed file is used");
      return inode;
    };
    const read = (offset: number, length: number) => {
      opened();
      disk.#mayFail(process, "read a journal");
      return inode.bytes.subarray(offset, offset + length);
    };
    return {
      size: () => opened().bytes.byteLength,
      read,
      salvage: read,
      async write(bytes, offset) {
        await disk.#turn(process);
        inode.touched = disk.time;
        disk.#write(process, opened(), bytes, offset);
        await disk.#turn(process);
      },
      writeNow(bytes, offset) {
        opened();
        disk.#write(process, inode, bytes, offset);
      },
      async sync() {
        assert.ok(!inode.failed, "a sync was tried again");
        await disk.#turn(process);
        const fails = disk.#fails(process);
        inode.failed = fails;
        if (!fails) inode.durable = inode.bytes;
        if (!fails) disk.#hasWritten(process, inode.bytes);
        // After a failure the system takes the bytes for written.
        inode.pending = [];
        await disk.#turn(process);
        if (fails) throw new SimulatedFault("the simulated disk failed to sync");
      },
      place: () => inode.place,
      isGone: () => disk.#journals.get(name) !== opened(),
      age: () => disk.time - opened().touched,
      touch: () => {
        opened();
        disk.#mayFail(process, "touch a journal");
        inode.touched = disk.time;
      },
      close: () => {
        isOpen = false;
      },
    };
  }

  /** Writes all bytes behind those that are there, or fails and writes some. */
  #write(process: Process, inode: Inode, bytes: Uint8Array, offset: number): void {
    assert.ok(!inode.failed, "something is written behind a failure");
    assert.equal(offset, inode.bytes.byteLength);
    inode.failed = this.#fails(process);
    const part = bytes.subarray(0, inode.failed ? this.chance.below(bytes.byteLength) : undefined);
    inode.bytes = grown(inode.bytes, part);
    inode.pending.push({ offset, bytes: inode.bytes.subarray(offset) });
    if (inode.failed) throw new SimulatedFault("no space left on the simulated disk");
  }

  #newInode(bytes: Buffer = Buffer.from(new ArrayBuffer(0))): Inode {
    const place = newPlace();
    return { bytes, durable: bytes, pending: [], failed: false, touched: this.time, place };
  }

  #shuffled(names: Iterable<string>): string[] {
    return [...names]
      .map((name) => ({ name, at: this.chance.next() }))
      .sort((a, b) => a.at - b.at)
      .map(({ name }) => name);
  }

  #fails(process: Process): boolean {
    const fails = ++this.calls === this.failAt || this.chance.next() < this.faults;
    if (fails) this.onFault([...(this.#made.get(process) ?? [])]);
    return fails;
  }

  #mayFail(process: Process, what: string): void {
    if (this.isReadOnly && /create|store/.test(what)) {
      throw Object.assign(new SimulatedFault("read-only"), { code: "EROFS" });
    }
    if (this.#fails(process)) throw new SimulatedFault(`the simulated disk could not ${what}`);
  }

  #madeBy(process: Process): Set<string> {
    const made = this.#made.get(process) ?? new Set();
    this.#made.set(process, made);
    return made;
  }

  #hasWritten(process: Process, journal: Buffer): void {
    const made = this.#madeBy(process);
    for (const name of made) if (journal.includes(name)) made.delete(name);
  }

  /** Resolves when it is this call's turn; never for a dead process. */
  #turn(process: Process): Promise<void> {
    return new Promise((go) => {
      this.#waiting.push({ process, go });
    });
  }
}

/** Nothing depends on what it is. */
function newPlace(): Buffer {
  return randomBytes(PLACE_BYTES);
}

/** The bytes and what follows them. Copies only where the buffer that they are a view of is full. */
function grown(bytes: Buffer, more: Uint8Array): Buffer {
  const length = bytes.byteLength + more.byteLength;
  let whole = bytes;
  if (bytes.byteOffset + length > bytes.buffer.byteLength) {
    whole = Buffer.from(new ArrayBuffer(Math.max(2 * length, 1024)));
    whole.set(bytes);
  }
  const all = Buffer.from(whole.buffer, whole.byteOffset, length);
  all.set(more, bytes.byteLength);
  return all;
}

function overwritten(bytes: Buffer, part: Uint8Array, offset: number): Buffer {
  const result = Buffer.from(new ArrayBuffer(Math.max(bytes.byteLength, offset + part.byteLength)));
  result.set(bytes);
  result.set(part, offset);
  return result;
}
