// Not `hash` by its name: a Node that lacks it would not get as far as to say which one is needed.
import * as crypto from "node:crypto";

/** One object in a list. */
export interface StoredObject {
  readonly name: string;
  /** The size of its body in bytes. */
  readonly size: number;
  /**
   * When it was stored, in milliseconds of Unix time by the clock of the storage; only in a list that
   * was asked for times. It may be later than the put, but no earlier.
   */
  readonly storedAt?: number | undefined;
}

/** An object, and another that holds the same data. */
export interface HeldObject {
  readonly name: string;
  readonly heldBy: string;
}

/** What else a driver may be given with an object to store. */
export interface PutOptions {
  /**
   * MD5 of the one body that this name stands for, in lower-case hex, where the caller knows it. A
   * driver that sends the body over a network passes it on, so that the service refuses bytes damaged
   * on the way. A driver whose put replaces the stored body needs it to refuse any other body. A
   * driver that keeps a stored body needs it to replace a damaged one.
   */
  readonly md5?: string | undefined;
  /**
   * Where there was no room: stores the body in the room that the driver keeps for objects that let
   * others be deleted. A driver that keeps none takes it for any other put.
   */
  readonly fromReserve?: boolean | undefined;
  /**
   * Of a copy: when the object was stored first, in milliseconds of Unix time, for lists to show. A
   * driver whose storage has no other time than its own ignores it.
   */
  readonly storedAt?: number | undefined;
}

/** How many requests of each kind were made. */
export interface RequestCounts {
  list: number;
  get: number;
  put: number;
  delete: number;
}

/** The room of a file system. */
export interface Room {
  /** Bytes that may still be written, and bytes in all. */
  readonly free: number;
  readonly size: number;
  /** How many files there are inodes for; `undefined` where the file system counts none. */
  readonly freeFiles: number | undefined;
}

/**
 * The interface every storage driver implements. A driver stores named blobs and knows nothing of
 * users, operations or HTTP. `tests/storage/driver-contract.ts` is this contract as a suite: a
 * driver that passes it may hold a user's only copy. README.md in this folder shows how to write one.
 *
 * - **Names** are flat: 1 to 255 characters of `A-Z a-z 0-9 . _ -`, not beginning with a dot. A
 *   driver refuses any other name (`checkName`), so no name can lead out of its storage.
 * - **Partitions**: the text before the first dot of a name is its partition (`partitionOf`). Nearly
 *   every list is of one partition, so a driver may store each apart, in a folder for example.
 * - **Immutable**: a name stands for one body. A put of an existing name may keep the stored body or
 *   write the same bytes again. With an MD5 it replaces a stored body that was damaged, which another
 *   MD5 shows. Where the backend can tell, it never replaces an intact one by other bytes of the same
 *   MD5, but throws (`isDamaged`): a put that returned is acknowledged. In a folder, it cannot tell
 *   while another process stores the same name in the same instant.
 * - **Durable**: what `put` returned for, and what `list` shows, survives power loss.
 * - **Whole**: neither `list` nor `get` ever shows a half-written object.
 * - **Errors** are thrown, never hidden: `ObjectMissing` for a name that is not stored, a
 *   `TypeError` for a name that may not be, `StorageUnavailable` for any failure that may pass. While
 *   the backend is away, no call says that an object is missing or a list empty, and none succeeds.
 */
export interface Driver {
  /**
   * Requests made to the service behind the driver, where one call may take several: each page of a
   * list and each retry counts. A driver without this is counted by its calls.
   */
  readonly requests?: Readonly<RequestCounts>;
  /**
   * All objects whose names begin with `prefix` (`""` for all), in byte order of their names. The
   * list is complete, or the call throws. Objects put or deleted during the call may be in it or not.
   *
   * @param withTimes shows when each object was stored; a driver that does not know ignores it
   */
  list(prefix: string, withTimes?: boolean): Promise<StoredObject[]>;
  /**
   * The body of an object. The caller does not change it.
   *
   * @param size the object's size in bytes, where a list has shown it: a hint for how to read it,
   *   which may be wrong
   * @throws ObjectMissing when no object has this name
   * @throws ObjectUnreadable when the storage works, and this object cannot be read; a driver that
   *   cannot tell throws any other `StorageUnavailable`
   */
  get(name: string, size?: number): Promise<Uint8Array>;
  /**
   * Stores a body; resolves once it is durable. The driver keeps its own copy of the bytes.
   *
   * @throws StorageFull when there is no room; a driver that cannot tell throws any other
   *   `StorageUnavailable`
   */
  put(name: string, body: Uint8Array, options?: PutOptions): Promise<void>;
  /**
   * Deletes an object; resolves as well when no object has this name.
   *
   * @param heldBy the object that holds the same data, where there is one: a driver whose copies may
   *   lack that one, because they were made meanwhile, finds the deleted one in them
   */
  delete(name: string, heldBy?: string): Promise<void>;
  /**
   * Deletes those of some objects that a copy of the storage, which is being made, still has after
   * that; the others have to stay until such copies are complete. Resolves with the deleted ones.
   * Where the same object is stored twice, one of the two may be left, for the next list to show.
   */
  readonly deleteHeld?:
    | (<Held extends HeldObject>(objects: readonly Held[]) => Promise<readonly Held[]>)
    | undefined;
  /** Takes what is called with partitions whose small objects had better be packed into larger ones. */
  onCrowded?(pack: (partitions: readonly string[]) => void): void;
  /** True where a list costs no request to a service: it may be made for what a poll would not ask. */
  readonly listsCheaply?: boolean;
  /** How many bytes of objects are in journals, for the metrics. */
  journalBytes?(): number;
  /** Takes what is called with how many puts and deletes a journal has made durable together. */
  onJournalBatch?(written: (records: number) => void): void;
  /**
   * By how many milliseconds the storage's clock is ahead of this machine's, to a second, by its last
   * answer; absent where it has no clock of its own.
   */
  clockOffset?(): number | undefined;
  /** How much room there is for objects, for the metrics; absent where nothing bounds it. */
  readonly room?: (() => Promise<Room>) | undefined;
  /**
   * Resolves if the storage would take a put now, as far as that shows without storing an object;
   * otherwise throws `StorageUnavailable`. For a driver without this, a list that works has to do.
   */
  check?(): Promise<void>;
  /** Releases what the driver holds. It is the last call. */
  close(): Promise<void>;
}

/** A storage to look at: nothing in it is changed. */
export type StorageReader = Pick<Driver, "list" | "get" | "close">;

/** Takes a sentence about the storage that its operator should read. */
export type Warn = (message: string) => void;

/** No object has this name: it was never stored, or it was deleted. */
export class ObjectMissing extends Error {
  override name = "ObjectMissing";
  readonly object: string;
  constructor(object: string, options?: ErrorOptions) {
    super(`there is no object ${object}`, options);
    this.object = object;
  }
}

/**
 * The storage failed at a valid request; a later attempt may succeed. The message is for the log and
 * may name paths and buckets. `reason` is for everybody: it says what is wrong and names neither.
 */
export class StorageUnavailable extends Error {
  override name = "StorageUnavailable";
  readonly code = "storage-unavailable";
  readonly reason: string;
  constructor(message: string, options: ErrorOptions & { readonly reason?: string } = {}) {
    super(message, options);
    this.reason = options.reason ?? "it does not answer as it should";
  }
}

/**
 * One object cannot be read, by a fault of the disk below it for example, while the storage works
 * otherwise: it counts as damaged. A put of its name replaces it.
 */
export class ObjectUnreadable extends StorageUnavailable {
  override name = "ObjectUnreadable";
}

/** There is no room for another object. Objects can be read and deleted, and deleting makes room. */
export class StorageFull extends StorageUnavailable {
  override name = "StorageFull";
}

const validName = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/;

/** True for a name that a driver may store. */
export function isName(text: string): boolean {
  return validName.test(text);
}

/**
 * Checks the name of an object, or the prefix of a list unless that is empty.
 *
 * @throws TypeError for a name that no driver may store
 */
export function checkName(name: string): void {
  if (!isName(name)) {
    throw new TypeError("an object name is 1 to 255 of A-Z a-z 0-9 . _ - and starts with no dot");
  }
}

/**
 * The partition of a name: the text before its first dot, all of a name without a dot. A prefix
 * with a dot lists one partition; one without a dot may list several.
 */
export function partitionOf(name: string): string {
  const dot = name.indexOf(".");
  return dot === -1 ? name : name.slice(0, dot);
}

/** MD5 of a body in lower-case hex, as `Driver.put` takes it. */
export function md5Of(body: Uint8Array): string {
  return crypto.hash("md5", body, "hex");
}

/**
 * Whether a stored body is another one than its MD5 names, so that a put replaces it.
 *
 * @param body what is put, and has this MD5
 * @throws StorageUnavailable where the stored body differs and has the same MD5: neither may replace
 *   the other
 */
export function isDamaged(stored: Uint8Array, body: Uint8Array, md5: string): boolean {
  if (Buffer.compare(stored, body) === 0) return false;
  if (md5Of(stored) !== md5) return true;
  throw new StorageUnavailable("another body with this MD5 is stored");
}
