/** What journals need of the folder they are kept in. `DiskFolder` is one on disk. */

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
  /** Claims a journal: an earlier claim to it holds no more. `undefined` if another was faster. */
  claim(name: string): Promise<Claim | undefined>;
  /** Removes claims to journals that are gone: processes that die leave them. */
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
