import { partitionOf, type StoredObject } from "../driver.ts";
import type { JournalFile } from "./folder.ts";
import { HEADER_BYTES, type Header, idOf, seedOf } from "./header.ts";
import { RECORD_OVERHEAD } from "./record.ts";

/** Where the record of a live object begins in its journal, and the size of the object. */
export interface Position {
  readonly offset: number;
  readonly size: number;
  /** When the record was committed, in milliseconds of Unix time, if its journal says so. */
  readonly storedAt?: number | undefined;
}

/**
 * What became of the record of an object. `deleted`: it was deleted, or is in another object.
 * `unread`: no commit that this process has read covers it.
 */
export type RecordState = "live" | "moved" | "deleted" | "unread";

const NONE: readonly number[] = [];

/** A live object that a journal holds. */
export interface Held extends Position {
  readonly journal: Journal;
  readonly name: string;
}

/**
 * A journal as this process knows it: the open file, and which of its objects are live. An object is
 * live from its put to a delete, which may stand in any journal and names the one record it ends.
 */
export class Journal {
  readonly id: string;
  readonly seed: number;
  /** False for a copy of the file, such as a restored one. */
  readonly isOriginal: boolean;
  readonly file: JournalFile;
  /** The name of the file. */
  readonly name: string;
  /** Behind the last commit that is known. */
  readTo: number;
  /** False for a file that had room before anything was written to it. */
  readonly grows: boolean;
  /** The size of the file when it was last read. */
  sizeRead = 0;
  /** How many records this process has written to it. */
  records = 0;
  /** The journals whose objects are deleted by records in this one. They go first. */
  readonly targets = new Set<string>();
  /** The sizes of all live objects together. */
  liveBytes = 0;
  /** By partition, then by name. */
  readonly #live = new Map<string, Map<string, Position>>();
  /** The offsets of the records that ended because the object became a file, by its name. */
  readonly #moved = new Map<string, readonly number[]>();
  #isClosed = false;
  /** The offsets of records that have ended already, and were not read yet. */
  readonly #endedAhead = new Set<number>();

  /** @param header `undefined` where it is damaged: then the file may be a copy */
  constructor(file: JournalFile, name: string, header: Header | undefined) {
    this.file = file;
    this.name = name;
    this.id = idOf(name);
    this.seed = seedOf(this.id);
    this.isOriginal = header?.place.equals(file.place()) === true;
    this.grows = header?.grows === true;
    this.readTo = HEADER_BYTES;
  }

  /** True when no object in it is live. */
  get isDead(): boolean {
    return this.#live.size === 0;
  }

  add(name: string, position: Position): void {
    if (this.#endedAhead.delete(position.offset)) return;
    const partition = partitionOf(name);
    let objects = this.#live.get(partition);
    if (objects === undefined) {
      objects = new Map();
      this.#live.set(partition, objects);
    }
    this.liveBytes += position.size - (objects.get(name)?.size ?? 0);
    objects.set(name, position);
  }

  /**
   * Ends a record.
   *
   * @param isMove whether the object is a file now, rather than deleted or in another object
   */
  end(name: string, offset: number, isMove: boolean): void {
    const state = this.stateOf(name, offset);
    if (state === "deleted") return;
    const others = this.#movedOf(name).filter((other) => other !== offset);
    const moved = isMove ? [...others, offset] : others;
    if (moved.length > 0) this.#moved.set(name, moved);
    else this.#moved.delete(name);
    if (offset >= this.readTo) this.#endedAhead.add(offset);
    if (state === "live") this.#remove(name, offset);
  }

  stateOf(name: string, offset: number): RecordState {
    if (this.find(name)?.offset === offset) return "live";
    if (this.#movedOf(name).includes(offset)) return "moved";
    return offset < this.readTo || this.#endedAhead.has(offset) ? "deleted" : "unread";
  }

  /** The records of an object that a delete has to end: a live one, and those that became a file. */
  recordsOf(name: string): number[] {
    const live = this.find(name)?.offset;
    return live === undefined ? [...this.#movedOf(name)] : [live, ...this.#movedOf(name)];
  }

  #movedOf(name: string): readonly number[] {
    return this.#moved.get(name) ?? NONE;
  }

  #remove(name: string, offset: number): void {
    const partition = partitionOf(name);
    const objects = this.#live.get(partition);
    const position = objects?.get(name);
    if (objects === undefined || position?.offset !== offset) return;
    objects.delete(name);
    this.liveBytes -= position.size;
    if (objects.size === 0) this.#live.delete(partition);
  }

  find(name: string, partition = partitionOf(name)): Position | undefined {
    return this.#live.get(partition)?.get(name);
  }

  /** The partitions with live objects. */
  partitions(): string[] {
    return [...this.#live.keys()];
  }

  /** The live objects whose names begin with a prefix. */
  *list(prefix: string, withTimes: boolean): Generator<StoredObject, void, void> {
    const partition = partitionOf(prefix);
    const groups =
      partition === prefix ? this.#live : [[partition, this.#live.get(partition)] as const];
    for (const [, objects] of groups) {
      for (const [name, { size, storedAt }] of objects ?? []) {
        if (name.startsWith(prefix)) yield withTimes ? { name, size, storedAt } : { name, size };
      }
    }
  }

  /** All live objects. */
  *held(): Generator<Held, void, void> {
    for (const objects of this.#live.values()) {
      for (const [name, position] of objects) yield { journal: this, name, ...position };
    }
  }

  /** As `JournalFile.touch`, unless it is closed by now. */
  touch(): void {
    if (!this.#isClosed) this.file.touch();
  }

  close(): void {
    this.#isClosed = true;
    this.file.close();
  }

  /** The body of a live object. */
  read(name: string, { offset, size }: Position): Uint8Array {
    const body = this.file.read(offset + RECORD_OVERHEAD + name.length, size);
    if (body.byteLength === size) return body;
    throw new Error(`the journal ${this.name} ends within the object at ${offset}`);
  }
}
