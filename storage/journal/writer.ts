import { isFull } from "../folder-errors.ts";
import { type Change, recordOf } from "./changes.ts";
import type { Claim, Created, JournalFolder } from "./folder.ts";
import { encodeHeader, HEADER_BYTES } from "./header.ts";
import { Journal } from "./journal.ts";
import { COMMIT_BYTES, encodeBatch, encodeCommit } from "./record.ts";

export interface WriterOptions {
  readonly folder: JournalFolder;
  /** A journal that has grown to so many bytes is sealed, and the next begins. */
  readonly maxBytes: number;
  /** Or to so many records: each takes memory while it is live. */
  readonly maxRecords: number;
  /** Called before anything is written to a new journal. */
  readonly onBegun: (journal: Journal) => void;
  /** Called with how many changes a batch has that was committed. */
  readonly onBatch: (records: number) => void;
  /** Called with each change that is committed, with where its record is, and when that was. */
  readonly onCommitted: (change: Change, journal: Journal, offset: number, at: number) => void;
  /** Called with a journal to which this process writes no more, and with its claim. */
  readonly onSealed: (journal: Journal, claim: Claim) => void;
  /** Called with a journal that another process has adopted, or that was removed again. */
  readonly onLost: (journal: Journal) => void;
  /** The time of day, in milliseconds of Unix time. */
  readonly clock: () => number;
}

interface Current {
  readonly journal: Journal;
  readonly claim: Claim;
}

/** Changes that are written together, and what waits for them. */
interface Write {
  readonly changes: readonly Change[];
  /** It may take the room that is kept for when there is no other. */
  readonly fromReserve: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Writes changes to this process's journal, in batches: while one is written and made durable, the
 * next is collected.
 *
 * - **Write, sync, commit.** A batch counts once its commit record follows it, for this process and
 *   for others, and the commit is written once the batch is durable. So nothing that counts is ever
 *   given up. A power loss may take the commit of the last batch: see `Rescue`.
 * - **The claim.** A batch is acknowledged only if this process's claim holds after the commit.
 *   Another process that takes this one for dead claims the journal first and reads it afterwards, so
 *   it reads this commit too. If the claim is gone, it may have read too early, and the batch is
 *   written once more, to a new journal. It is not committed where the claim is gone before: a commit
 *   that comes after the adopter's last look would be shown until the journal is removed.
 * - **Failures.** A failed write or sync ends the journal: nothing is written behind it, and the
 *   sync is never tried again, because the system may have dropped the bytes and would report
 *   success. The batch is not acknowledged, and the next one deletes what was stored of it.
 * - **A full disk.** Deletes, which make room, then go to a journal that was kept for this.
 */
export class JournalWriter {
  readonly #options: WriterOptions;
  #current: Current | undefined;
  /** What is written while there is no other room. */
  #kept: Current | undefined;
  #isFull = false;
  /** Deletes what batches that failed may have stored. */
  #givenUp: Change[] = [];
  #collecting: Write[] = [];
  #running: Promise<void> | undefined;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  /** Shows other processes that the journals being written have an owner. */
  touch(): void {
    for (const some of [this.#current, this.#kept]) some?.journal.file.touch();
  }

  /** Whether the last batch found no room. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /**
   * Resolves once the changes survive power loss and are in effect.
   *
   * @param fromReserve take the room that is kept for when there is no other; by default for deletes
   */
  write(
    changes: readonly Change[],
    fromReserve = changes.every(({ kind }) => kind === "delete"),
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#collecting.push({ changes, fromReserve, resolve, reject });
      this.#running ??= this.#run();
    });
  }

  /** Resolves once nothing is being written. */
  async close(): Promise<void> {
    await this.#running;
    for (const some of [this.#current, this.#kept]) some?.claim.release();
  }

  async #run(): Promise<void> {
    while (this.#collecting.length > 0) {
      const writes = this.#collecting;
      this.#collecting = [];
      try {
        await this.#store(changesOf(writes));
        for (const { resolve } of writes) resolve();
      } catch (error) {
        await this.#retryInReserve(writes, error);
      }
    }
    this.#running = undefined;
  }

  /** Rejects what a batch that failed held, but what may take the reserve where the disk is full. */
  async #retryInReserve(writes: readonly Write[], error: unknown): Promise<void> {
    this.#isFull = isFull(error);
    const urgent = this.#isFull ? writes.filter(({ fromReserve }) => fromReserve) : [];
    for (const write of writes) if (!urgent.includes(write)) write.reject(error);
    if (urgent.length === 0) return;
    try {
      await this.#storeInReserve(changesOf(urgent), error);
      for (const { resolve } of urgent) resolve();
    } catch (failure) {
      for (const { reject } of urgent) reject(failure);
    }
  }

  async #store(changes: readonly Change[]): Promise<void> {
    const { folder, maxBytes, maxRecords } = this.#options;
    for (;;) {
      const name = folder.newName();
      const current = this.#current ?? (await this.#begin(name, await folder.create(name)));
      this.#current = current;
      if (!(await this.#commit(current, [...this.#givenUp, ...changes]))) continue;
      this.#givenUp = [];
      this.#isFull = false;
      const { journal, claim } = current;
      if (journal.readTo >= maxBytes || journal.records >= maxRecords) {
        this.#current = undefined;
        this.#options.onSealed(journal, claim);
      }
      this.#sealReserve();
      return;
    }
  }

  /** @param error thrown where no room is kept either */
  async #storeInReserve(changes: readonly Change[], error: unknown): Promise<void> {
    const { folder } = this.#options;
    for (;;) {
      if (this.#kept === undefined) {
        const name = folder.newName();
        const created = await folder.createFromReserve(name);
        if (created === undefined) throw error;
        this.#kept = await this.#begin(name, created);
      }
      if (await this.#commit(this.#kept, changes)) return;
    }
  }

  /** To be emptied, once there is other room. */
  #sealReserve(): void {
    if (this.#kept === undefined) return;
    this.#options.onSealed(this.#kept.journal, this.#kept.claim);
    this.#kept = undefined;
  }

  /** Whether no other process has adopted a journal so far. */
  #isHeld({ journal, claim }: Current): boolean {
    if (claim.holds() && !journal.file.isGone()) return true;
    this.#leave(journal);
    this.#options.onLost(journal);
    return false;
  }

  /** False where another process has adopted the journal, and the changes have to go to another. */
  async #commit(current: Current, changes: readonly Change[]): Promise<boolean> {
    const { journal, claim } = current;
    const { file, seed } = journal;
    const { bytes, offsets } = encodeBatch(seed, journal.readTo, changes.map(recordOf));
    const end = journal.readTo + bytes.byteLength;
    let committedAt: number;
    // Copies that are being made may need what is deleted here: it stays for a while from now on.
    for (const ended of journalsIn(changes)) ended.touch();
    try {
      await file.write(bytes, journal.readTo);
      await file.sync();
      if (!this.#isHeld(current)) {
        this.#giveUp(journal, changes, offsets);
        return false;
      }
      committedAt = this.#options.clock();
      file.writeNow(encodeCommit(seed, end, committedAt), end);
    } catch (error) {
      this.#leave(journal);
      const isEmpty = journal.readTo === HEADER_BYTES;
      if (!isEmpty || !(await this.#discard(journal))) {
        this.#giveUp(journal, changes, offsets);
        this.#options.onSealed(journal, claim);
      }
      throw error;
    }
    journal.readTo = end + COMMIT_BYTES;
    journal.records += changes.length;
    this.#options.onBatch(changes.length);
    for (const [i, change] of changes.entries()) {
      this.#options.onCommitted(change, journal, offsets[i] ?? 0, committedAt);
    }
    return this.#isHeld(current);
  }

  /** The next batch deletes what a batch without a commit may have stored. */
  #giveUp(journal: Journal, changes: readonly Change[], offsets: readonly number[]): void {
    for (const [i, { kind, name }] of changes.entries()) {
      const offset = offsets[i] ?? 0;
      // A process that starts may have made a file of it, on which a retry relies: not a plain one.
      const end = { kind: "delete", name, journal, offset, heldBy: name } as const;
      if (kind === "put") this.#givenUp.push(end);
    }
  }

  /** Writes nothing more to a journal. */
  #leave(journal: Journal): void {
    if (this.#current?.journal === journal) this.#current = undefined;
    if (this.#kept?.journal === journal) this.#kept = undefined;
  }

  /** Removes a journal in which nothing counts. False where that fails. */
  async #discard(journal: Journal): Promise<boolean> {
    const { folder, onLost } = this.#options;
    const isRemoved = await folder.remove(journal.name).then(
      () => true,
      () => false,
    );
    if (isRemoved) onLost(journal);
    return isRemoved;
  }

  async #begin(name: string, { file, claim }: Created): Promise<Current> {
    const { folder, onBegun } = this.#options;
    try {
      const header = { place: file.place(), grows: file.size() === 0 };
      await file.write(encodeHeader(header), 0);
      // So that no crash leaves records behind a header that is not whole.
      await file.sync();
      const journal = new Journal(file, name, header);
      onBegun(journal);
      return { journal, claim };
    } catch (error) {
      file.close();
      await folder.remove(name);
      throw error;
    }
  }
}

/** The journals whose records are ended. */
function journalsIn(changes: readonly Change[]): Set<Journal> {
  return new Set(changes.flatMap((change) => (change.kind === "delete" ? change.journal : [])));
}

function changesOf(writes: readonly Write[]): Change[] {
  return writes.flatMap(({ changes }) => changes);
}
