import type { FileMaker } from "./file-maker.ts";
import type { Claim, JournalFolder } from "./folder.ts";
import { HEADER_BYTES } from "./header.ts";
import type { Journal } from "./journal.ts";
import type { Journals } from "./journals.ts";
import type { Rescue } from "./rescue.ts";
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
  readonly maker: FileMaker;
  readonly rescue: Rescue;
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

/** While more sealed journals hold live objects, those of the oldest become files. */
const LEFT_TO_COMPACTION = 2;

/**
 * Empties sealed journals, adopts journals whose owner is gone, and removes those without a live
 * object.
 */
export class Emptier {
  readonly #options: EmptierOptions;
  readonly #sealed = new Map<Journal, Sealed>();
  /** Ids of journals that a power loss may bring back: their removal was not made durable. */
  readonly #unsure = new Set<string>();

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
    const { journals, writer, maker, rescue } = this.#options;
    for (const [journal, { claim }] of this.#sealed) {
      if (!journals.has(journal) || !claim.holds()) this.#drop(journal);
    }
    const errors: unknown[] = [];
    const attempt = (work: () => Promise<void>) => work().catch((error) => void errors.push(error));
    await attempt(async () => {
      writer.touch();
      this.#touch();
    });
    if (rescue.isPending()) await attempt(() => rescue.run());
    await attempt(() => maker.check());
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
    const { maker, timing, now } = this.#options;
    const sealed = this.#sealed.get(journal);
    if (sealed === undefined || journal.isDead) return;
    const isDue = now() - sealed.since >= timing.rest || this.waiting.length > LEFT_TO_COMPACTION;
    if (!isDue) return;
    await maker.make([...journal.held()], (object) =>
      sealed.claim.holds() ? journal.read(object.name, object) : undefined,
    );
  }

  /** Removes a journal if nothing has been deleted from it for so many milliseconds. */
  async #removeDead(journal: Journal, keep: number): Promise<void> {
    const { folder, journals, writer, rescue } = this.#options;
    const isDue = () => journals.has(journal) && journal.isDead && journal.file.age() >= keep;
    // What a batch without a commit holds is not live, and nowhere else.
    if (!isDue() || rescue.isPending()) return;
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

/** Whether a file has no whole header, and nothing behind it. */
function isBlank(bytes: Buffer): boolean {
  return bytes.byteLength <= HEADER_BYTES || bytes.every((byte) => byte === 0);
}
