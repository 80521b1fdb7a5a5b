import {
  checkName,
  type Driver,
  type HeldObject,
  md5Of,
  ObjectUnreadable,
  type PutOptions,
  StorageUnavailable,
  type StoredObject,
} from "../driver.ts";
import { guarded } from "../folder-errors.ts";
import { NameLocks } from "../name-locks.ts";
import type { Change } from "./changes.ts";
import { Emptier, type EmptierTiming } from "./emptier.ts";
import { FileMaker } from "./file-maker.ts";
import type { FileStore } from "./file-store.ts";
import type { JournalFolder } from "./folder.ts";
import type { Held } from "./journal.ts";
import { JournalReader } from "./journal-reader.ts";
import { type DamageListener, Journals } from "./journals.ts";
import { Maintenance } from "./maintenance.ts";
import { MAX_BODY } from "./record.ts";
import { Rescue } from "./rescue.ts";
import { JournalWriter } from "./writer.ts";

export interface JournaledDriverOptions {
  readonly files: FileStore;
  readonly folder: JournalFolder;
  readonly onDamage: DamageListener;
  /** Called when journals could not be emptied; it is tried again. */
  readonly onError: (error: unknown) => void;
  /** False: what journals hold becomes files, and so does what is put. */
  readonly journal?: boolean;
  /** A journal that has grown to so many bytes is sealed. */
  readonly maxBytes?: number;
  /** So many bytes of journals without a live object are kept for copies that are being made. */
  readonly maxDeadBytes?: number;
  readonly timing?: Partial<EmptierTiming>;
  /** Milliseconds of a clock that never goes back. */
  readonly now?: () => number;
  /** The time of day, in milliseconds of Unix time. */
  readonly clock?: () => number;
}

const MINUTE = 60_000;
const MAX_BYTES = 64 * 1024 * 1024;
const MAX_DEAD_BYTES = 16 * MAX_BYTES;
const MAX_RECORDS = 200_000;
const TIMING = {
  rest: 15 * MINUTE,
  keep: 15 * MINUTE,
  adoptAfter: 15 * MINUTE,
};

/** Without new journals, nothing is left to compaction, nor to an owner that may live. */
const AT_ONCE = { rest: 0, adoptAfter: 0 };

/** Smaller bodies that may take reserved room, such as a tombstone, take it in a journal. */
const SMALL = 4096;

/** While so many sealed journals hold live objects, objects become files at once. */
const MAX_WAITING = 4;

/**
 * Keeps small objects in a journal, where many of them become durable by one write and one sync, and
 * all others as files. `README.md` says by which rules nothing is ever lost between the two.
 */
export class JournaledDriver implements Driver {
  readonly listsCheaply = true;
  readonly #files: FileStore;
  readonly #isOn: boolean;
  readonly #journals: Journals;
  readonly #reader: JournalReader;
  readonly #writer: JournalWriter;
  readonly #rescue: Rescue;
  readonly #emptier: Emptier;
  readonly #maintenance: Maintenance;
  readonly #locks = new NameLocks();
  #onCrowded: (partitions: readonly string[]) => void = () => undefined;
  #onBatch: (records: number) => void = () => undefined;

  private constructor({ files, folder, onDamage, onError, ...options }: JournaledDriverOptions) {
    const { journal = true, maxBytes = MAX_BYTES, now = () => performance.now() } = options;
    this.#files = files;
    this.#isOn = journal;
    const journals = new Journals({ folder, onDamage });
    this.#journals = journals;
    this.#reader = new JournalReader(journals, files);
    this.#writer = new JournalWriter({
      folder,
      maxBytes,
      maxRecords: MAX_RECORDS,
      onBegun: (journal) => journals.addOwn(journal),
      onBatch: (records) => this.#onBatch(records),
      onCommitted: (change, journal, offset, at) => journals.apply(change, journal, offset, at),
      onSealed: (journal, claim) => this.#emptier.take(journal, claim),
      onLost: (journal) => journals.disown(journal),
      clock: options.clock ?? Date.now,
    });
    const writer = this.#writer;
    const maker = new FileMaker({ journals, writer, locks: this.#locks, files });
    const rescue = new Rescue({ journals, writer, maker });
    this.#rescue = rescue;
    this.#emptier = new Emptier({
      ...{ folder, journals, writer, maker, rescue, now },
      maxDeadBytes: options.maxDeadBytes ?? MAX_DEAD_BYTES,
      onTaken: (taken) => this.#onCrowded(taken.partitions()),
      timing: { ...TIMING, ...options.timing, ...(journal ? {} : AT_ONCE) },
    });
    this.#maintenance = new Maintenance(() => this.#emptier.run(), onError);
  }

  /** Reads all journals. Throws `StorageUnavailable`. */
  static async open(options: JournaledDriverOptions): Promise<JournaledDriver> {
    const driver = new JournaledDriver(options);
    await guarded("read the journals", () => driver.#begin());
    if (!driver.#isOn) await driver.maintain();
    return driver;
  }

  async list(prefix: string, withTimes?: boolean): Promise<StoredObject[]> {
    if (prefix !== "") checkName(prefix);
    await this.#takeIn(prefix);
    return this.#reader.list(prefix, withTimes);
  }

  async get(name: string, size?: number): Promise<Uint8Array> {
    checkName(name);
    await this.#takeIn(name);
    return this.#reader.get(name, size);
  }

  /** Ignores `storedAt` for what goes to a journal. */
  async put(name: string, body: Uint8Array, options: PutOptions = {}): Promise<void> {
    checkName(name);
    await this.#locks.run(name, () => this.#put(name, body, options));
  }

  async delete(name: string, heldBy?: string): Promise<void> {
    checkName(name);
    await this.#locks.run(name, () => this.#delete(name, heldBy));
  }

  async check(): Promise<void> {
    await this.#reader.refresh();
    await this.#files.check?.();
  }

  /**
   * Copies find what stays in a journal: a delete of what another object holds does not count there.
   * A file that another process may have made of it stays as well.
   */
  async deleteHeld<Held extends HeldObject>(objects: readonly Held[]): Promise<readonly Held[]> {
    for (const { name } of objects) checkName(name);
    await this.#reader.refresh();
    const deleted = objects.filter(({ name }) => this.#journals.find(name) !== undefined);
    const changes = deleted.flatMap(({ name, heldBy }) => this.#journals.deletesFor(name, heldBy));
    if (changes.length > 0) await this.#write(changes);
    return deleted;
  }

  journalBytes(): number {
    return this.#journals.all().reduce((sum, { liveBytes }) => sum + liveBytes, 0);
  }

  onJournalBatch(written: (records: number) => void): void {
    this.#onBatch = written;
  }

  get room(): Driver["room"] {
    return this.#files.room?.bind(this.#files);
  }

  onCrowded(pack: (partitions: readonly string[]) => void): void {
    this.#onCrowded = pack;
  }

  async close(): Promise<void> {
    await this.#maintenance.stop();
    try {
      await this.#writer.close();
      this.#emptier.release();
    } catch (error) {
      // Others wait for a while, then.
      this.#maintenance.report(error);
    }
    this.#journals.close();
    await this.#files.close();
  }

  /** Looks after the journals until `close`. */
  start(): void {
    this.#maintenance.start();
  }

  /** Empties, adopts and removes journals; resolves once nothing more is due. */
  maintain(): Promise<void> {
    return this.#maintenance.run();
  }

  async #begin(): Promise<void> {
    this.#journals.refresh();
    try {
      await this.#rescue.run();
    } catch (error) {
      // All else that is stored can still be read.
      if (!this.#rescue.isPending()) throw error;
      this.#maintenance.report(error);
    }
  }

  /** What batches without a commit hold is shown once this process has stored it. */
  async #takeIn(prefix: string): Promise<void> {
    if (!this.#rescue.isPending(prefix)) return;
    await guarded("store anew what was not committed", () => this.#rescue.run());
  }

  #write(changes: readonly Change[], fromReserve?: boolean): Promise<void> {
    return guarded("write to the journal", async () => {
      await this.#writer.write(changes, fromReserve);
      if (this.#writer.isFull) await this.#emptier.makeRoom();
    });
  }

  async #put(name: string, body: Uint8Array, options: PutOptions): Promise<void> {
    const { md5, fromReserve } = options;
    const put: Change = { kind: "put", name, body };
    if (this.#journals.find(name) !== undefined) {
      // It may be gone, deleted by another process, or with the folder itself.
      await this.#reader.refresh();
      const held = this.#journals.find(name);
      if (held !== undefined) {
        if (!(await this.#isDamaged(held, body, md5))) return;
        return this.#write([put, { kind: "delete", ...held }]);
      }
    }
    const becomesFile =
      !this.#isOn ||
      (fromReserve === true && body.byteLength > SMALL) ||
      body.byteLength >= MAX_BODY ||
      this.#emptier.waiting.length >= MAX_WAITING;
    const isFile = becomesFile || (await this.#hasFile(name));
    const isNew = isFile && (await this.#files.store(name, body, options));
    // Also where it was a file: another process that has just made that may be about to find that the
    // record it made it from was deleted.
    const relies = isFile && !isNew && this.#isOn && body.byteLength < MAX_BODY;
    if (!becomesFile || relies) await this.#write([put], fromReserve);
  }

  /** Whether a stored object is not the body that its name stands for. */
  async #isDamaged(held: Held, body: Uint8Array, md5: string | undefined): Promise<boolean> {
    if (md5 === undefined) return false;
    let stored: Uint8Array;
    try {
      stored = await this.#reader.read(held);
    } catch (error) {
      if (error instanceof ObjectUnreadable) return true;
      throw error;
    }
    if (Buffer.compare(stored, body) === 0) return false;
    if (md5Of(stored) === md5) throw new StorageUnavailable("another body with this MD5 is stored");
    return true;
  }

  /** The records first, and the file after them: see `FileMaker`. */
  async #delete(name: string, heldBy: string | undefined): Promise<void> {
    await this.#reader.refresh();
    const deletes = this.#journals.deletesFor(name, heldBy);
    if (deletes.length > 0) await this.#write(deletes);
    // Also where nothing is there: it fails where the storage is gone.
    if (deletes.length === 0 || (await this.#hasFile(name))) await this.#files.delete(name);
  }

  #hasFile(name: string): Promise<boolean> {
    return guarded("look for an object", async () => this.#files.has(name));
  }
}
