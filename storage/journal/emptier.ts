import { md5Of, StorageFull } from "../driver.ts";
import type { NameLocks } from "../name-locks.ts";
import type { FileStore } from "./file-store.ts";
import type { Claim, JournalFolder } from "./folder.ts";
import { HEADER_BYTES } from "./header.ts";
import type { Journal } from "./journal.ts";
import type { Journals } from "./journals.ts";
import type { JournalWriter } from "./writer.ts";

/** In milliseconds. */
export interface EmptierTiming {
  /** How long a sealed journal is left to compaction. What has not been packed by then becomes files. */
  readonly rest: number;
  /** How long a journal without live objects is kept, for copies being made. */
  readonly keep: number;
  /** A journal of another process is adopted when it has not been touched for so long. */
  readonly adoptAfter: number;
}

export interface EmptierOptions {
  readonly folder: JournalFolder;
  readonly journals: Journals;
  readonly writer: JournalWriter;
  readonly locks: NameLocks;
  /** Where objects go that no journal should hold any longer. */
  readonly files: FileStore;
  /** Called with a journal that this process empties from now on. */
  readonly onTaken: (journal: Journal) => void;
  readonly timing: EmptierTiming;
  /** So many bytes of journals without a live object are kept for copies. */
  readonly maxDeadBytes: number;
  /** Milliseconds of a clock that never goes back. */
  readonly now: () => number;
}

/** A journal that this process empties. */
interface Sealed {
  readonly claim: Claim;
  readonly since: number;
}

/** The record of an object that is to become a file. */
interface Record {
  readonly journal: Journal;
  readonly name: string;
  readonly offset: number;
}

/** How many objects become files at once. */
const FILES_AT_ONCE = 16;

/** While more sealed journals hold live objects, those of the oldest become files. */
const LEFT_TO_COMPACTION = 2;

/**
 * Empties sealed journals, adopts journals whose owner is gone, and removes those without a live
 * object. An object only ever leaves a journal to become a file: see `#toFile`.
 */
export class Emptier {
  readonly #options: EmptierOptions;
  readonly #sealed = new Map<Journal, Sealed>();
  /** Ids of journals that a power loss may bring back: their removal was not made durable. */
  readonly #unsure = new Set<string>();
  /**
   * Records of which this process has made files, by journal and offset. Whether they were deleted
   * meanwhile is still to be seen: it is, at once or after a failure.
   */
  readonly #made = new Map<string, Record>();
  /** The names in batches without a commit that could not be taken in. */
  #pending: readonly string[] = [];

  constructor(options: EmptierOptions) {
    this.#options = options;
  }

  /** Empties a journal from now on: while the claim holds, this process is the only one that would. */
  take(journal: Journal, claim: Claim): void {
    const { now, onTaken } = this.#options;
    this.#sealed.set(journal, { claim, since: now() });
    onTaken(journal);
  }

  /**
   * Shows other processes that the journals have somebody who empties them. Those without a live
   * object are touched by deletes only: from the last one on, copies may need them.
   */
  #touch(): void {
    for (const journal of this.waiting) journal.touch();
  }

  /** The sealed journals that hold live objects, the oldest first. */
  get waiting(): Journal[] {
    return [...this.#sealed.keys()].filter((journal) => !journal.isDead);
  }

  /** Leaves the journals to other processes, which need not wait to adopt them. */
  release(): void {
    for (const { claim } of this.#sealed.values()) claim.release();
    this.#sealed.clear();
  }

  /** Does all that is due. Throws the first error, when all the rest is done. */
  async run(): Promise<void> {
    const { journals, locks, writer } = this.#options;
    for (const [journal, { claim }] of this.#sealed) {
      if (!journals.has(journal) || !claim.holds()) this.#drop(journal);
    }
    const errors: unknown[] = [];
    const attempt = (work: () => Promise<void>) => work().catch((error) => void errors.push(error));
    await attempt(async () => {
      writer.touch();
      this.#touch();
    });
    if (this.#pending.length > 0) await attempt(() => this.rescue());
    for (const made of this.#made.values()) {
      await attempt(() => locks.run(made.name, () => this.#endRecord(made)));
    }
    await attempt(() => this.#adopt());
    for (const journal of this.#sealed.keys()) await attempt(() => this.#empty(journal));
    await attempt(() => this.makeRoom());
    if (errors.length > 0) throw errors[0];
  }

  /**
   * Removes journals that no copy needs any more: nothing in them has been live for long enough. Where
   * they take much room, or the disk is full, the oldest go earlier.
   */
  async makeRoom(): Promise<void> {
    const { folder, journals, writer, timing, maxDeadBytes } = this.#options;
    journals.refresh();
    const dead = [...this.#sealed.keys()].filter((some) => journals.has(some) && some.isDead);
    let bytes = dead.reduce((sum, { file }) => sum + file.size(), 0);
    for (const journal of dead) {
      const size = journals.has(journal) ? journal.file.size() : 0;
      const isEarly = writer.isFull || bytes > maxDeadBytes;
      await this.#removeDead(journal, isEarly ? 0 : timing.keep);
      if (!this.#sealed.has(journal)) bytes -= size;
    }
    await folder.fillReserve();
  }

  /**
   * Takes in what batches without a commit hold. After a power loss such a batch may have been
   * acknowledged: its commit may not have reached the disk. So its deletes are written anew, and its
   * objects become files. If its owner still lives, it was not acknowledged, and stays a put that may
   * have stored something, whatever its owner makes of it.
   */
  async rescue(): Promise<void> {
    const { journals, writer } = this.#options;
    const tails = journals.all().map((journal) => ({ journal, tail: journals.tailOf(journal) }));
    const deletes = tails
      .flatMap(({ journal, tail }) => journals.deletesAmong(journal, tail))
      .filter(({ journal, name, offset, heldBy }) => {
        const state = journal.stateOf(name, offset);
        return state !== "deleted" && !(state === "moved" && heldBy === name);
      });
    const puts = tails.flatMap(({ journal, tail }) =>
      tail
        .filter(({ kind }) => kind === "put")
        .map(({ name, offset, body }) => ({ journal, name, offset, body })),
    );
    this.#pending = [...deletes, ...puts].map(({ name }) => name);
    if (deletes.length > 0) await writer.write(deletes);
    await inGroups(puts, (put) => this.#toFile(put, () => put.body));
    this.#pending = [];
  }

  /** Whether objects whose names begin with a prefix are still to be rescued. */
  awaitsRescue(prefix: string): boolean {
    return this.#pending.some((name) => name.startsWith(prefix));
  }

  /**
   * Adopts journals that nobody touches: claims each, which shows its owner, should it live, that
   * what it writes from now on is not read any more. See `JournalWriter`.
   */
  async #adopt(): Promise<void> {
    const { folder, journals, timing } = this.#options;
    journals.refresh();
    for (const journal of journals.all()) {
      if (!journals.has(journal) || journals.isOwn(journal) || this.#sealed.has(journal)) continue;
      const age = journal.file.age();
      // One without a live object may be left to be removed, by a process that has ended since.
      const isLeft = journal.isDead
        ? age >= Math.max(timing.adoptAfter, timing.keep)
        : age >= timing.adoptAfter || !folder.isClaimed(journal.name);
      const claim = isLeft ? await folder.claim(journal.name) : undefined;
      // What its owner may have acknowledged stands before the claim, and is read before it is removed.
      if (claim !== undefined) this.take(journal, claim);
    }
    this.#touch();
    for (const name of folder.names()) {
      // What a crash has left before anything was written.
      if (!this.#isBlank(name) || (await folder.claim(name)) === undefined) continue;
      // Its owner may live, and have written before the claim.
      if (this.#isBlank(name)) await folder.remove(name);
    }
    await folder.sweep();
  }

  /** Whether nothing was ever written to a journal. */
  #isBlank(name: string): boolean {
    const { folder, journals, timing } = this.#options;
    const file = journals.isKnown(name) ? undefined : folder.open(name);
    if (file === undefined) return false;
    try {
      return file.age() >= timing.adoptAfter && isBlank(file.read(0, file.size()));
    } finally {
      file.close();
    }
  }

  /** Makes files of what a journal holds, if its time has come. */
  async #empty(journal: Journal): Promise<void> {
    const { timing, now } = this.#options;
    const sealed = this.#sealed.get(journal);
    if (sealed === undefined || journal.isDead) return;
    const isDue = now() - sealed.since >= timing.rest || this.waiting.length > LEFT_TO_COMPACTION;
    if (!isDue) return;
    await inGroups([...journal.held()], async (object) => {
      if (!sealed.claim.holds()) return;
      await this.#toFile(object, () => journal.read(object.name, object));
    });
  }

  /**
   * Makes a file of an object, then ends its record. Any number of processes may do so with one
   * record, at any time: all make the same file.
   *
   * Another process may delete the object meanwhile. It deletes the record first, and looks for the
   * file after that; this one stores the file first, and looks for the delete after that. So one of
   * the two finds the other, and the file goes. It stays where a delete only says that the object
   * became a file, where the file was there before, because others may have stored it, and where
   * there is another record of the object, which may rely on the file.
   */
  #toFile(record: Record, read: () => Uint8Array): Promise<void> {
    return this.#options.locks.run(record.name, async () => {
      if (!this.#isThere(record)) return;
      if (await this.#store(record.name, read())) this.#made.set(keyOf(record), record);
      await this.#endRecord(record);
    });
  }

  /** The second half of `#toFile`, once the file is stored. */
  async #endRecord(record: Record): Promise<void> {
    const { journals, writer, files } = this.#options;
    const { journal, name, offset } = record;
    journals.refresh();
    if (this.#isThere(record)) {
      await writer.write([{ kind: "delete", name, journal, offset, heldBy: name }]);
    } else if (this.#made.has(keyOf(record)) && journal.stateOf(name, offset) === "deleted") {
      if (journals.deletesFor(name).length === 0) await files.delete(name);
    }
    this.#made.delete(keyOf(record));
  }

  #isThere({ journal, name, offset }: Record): boolean {
    const state = journal.stateOf(name, offset);
    return this.#options.journals.has(journal) && (state === "live" || state === "unread");
  }

  /** In the room that is kept, where there is no other: what it holds is stored already. */
  async #store(name: string, body: Uint8Array): Promise<boolean> {
    const { files } = this.#options;
    // By its MD5 a damaged file of this name is found out, and replaced.
    const md5 = md5Of(body);
    try {
      return await files.store(name, body, md5);
    } catch (error) {
      if (!(error instanceof StorageFull)) throw error;
      return files.store(name, body, md5, true);
    }
  }

  /** Removes a journal if nothing has been deleted from it for so many milliseconds. */
  async #removeDead(journal: Journal, keep: number): Promise<void> {
    const { folder, journals, writer } = this.#options;
    const isDue = () => journals.has(journal) && journal.isDead && journal.file.age() >= keep;
    // What a batch without a commit holds is not live, and nowhere else.
    if (!isDue() || this.#pending.length > 0) return;
    // What a record in it has deleted would be live again without it.
    if ([...journal.targets].some((id) => this.#unsure.has(id))) return;
    const needed = journals.deletesIn(journal);
    if (needed.length > 0) await writer.write(needed);
    journals.refresh();
    if (!isDue()) return;
    this.#unsure.add(journal.id);
    await folder.remove(journal.name);
    this.#unsure.delete(journal.id);
    this.#drop(journal);
    journals.refresh();
  }

  #drop(journal: Journal): void {
    this.#sealed.delete(journal);
    this.#options.journals.disown(journal);
  }
}

function keyOf({ journal, offset }: Record): string {
  return `${journal.id} ${offset}`;
}

/** Whether a file has no whole header, and nothing behind it. */
function isBlank(bytes: Buffer): boolean {
  return bytes.byteLength <= HEADER_BYTES || bytes.every((byte) => byte === 0);
}

/** Works on some records at once. Throws the first error, once the rest is done. */
async function inGroups<Item>(
  items: readonly Item[],
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const errors: unknown[] = [];
  for (let at = 0; at < items.length; at += FILES_AT_ONCE) {
    for (const done of await Promise.allSettled(items.slice(at, at + FILES_AT_ONCE).map(work))) {
      if (done.status === "rejected") errors.push(done.reason);
    }
    // One object that cannot be read stays; a disk that is full or gone ends the work.
    if (errors.length >= FILES_AT_ONCE) break;
  }
  if (errors.length > 0) throw errors[0];
}
