/** What a listing says of one stored object. `size` is in bytes. */
export interface StoredObject {
  readonly name: string;
  readonly size: number;
}

/** Requests by kind. */
export interface RequestCounts {
  list: number;
  get: number;
  put: number;
  delete: number;
}

/**
 * The interface every storage driver implements. `tests/storage/driver-contract.ts` is this contract as a
 * suite: a driver that passes it may hold a user's only copy.
 *
 * - Names are flat, 1 to 255 characters of `A-Z a-z 0-9 . _ -`, and do not begin with a dot. A
 *   driver refuses any other (`checkName`), so no name can leave the place it stores in.
 * - Names are immutable: a body never changes under its name.
 * - Durable means durable: what `put` returned for, and what `list` shows, survives power loss.
 * - Visible means whole: neither `list` nor `get` ever shows a half-written object.
 * - An error is thrown, never hidden: `ObjectMissing` for a name that is not there, and
 *   `StorageUnavailable` for everything that asking again later may mend.
 */
export interface Driver {
  /** What was really asked of a service, page by page and try by try, where a call may be several. */
  readonly requests?: Readonly<RequestCounts>;
  /**
   * All objects whose name begins with `prefix`, in byte order of their names. The list is whole
   * or it throws; it is never cut short. An object put or deleted meanwhile may or may not show.
   */
  list(prefix: string): Promise<StoredObject[]>;
  /**
   * The body. The caller does not change it. Throws `ObjectMissing` when there is none. `size` is
   * what a list or a put said, where the caller knows: a hint of how best to read it, no more.
   */
  get(name: string, size?: number): Promise<Uint8Array>;
  /**
   * Stores the body, durably. A name that exists already is left as it is. Where a name has the
   * MD5 of its body, as the names of operations do, a body that does not match may be refused.
   */
  put(name: string, body: Uint8Array): Promise<void>;
  /** Removes the object. A name that is not there is removed already. */
  delete(name: string): Promise<void>;
  /** Ends the driver's work; nothing is called after it. */
  close(): Promise<void>;
}

/** No object has this name: it was never stored, or it was deleted. */
export class ObjectMissing extends Error {
  override name = "ObjectMissing";
  constructor(object: string, options?: ErrorOptions) {
    super(`there is no object ${object}`, options);
  }
}

/**
 * The storage did not do what was asked; nothing is known to be wrong with the request. The message
 * is for the log. `reason` is for everybody: it says what is wrong, and names nothing of the inside.
 */
export class StorageUnavailable extends Error {
  override name = "StorageUnavailable";
  readonly reason: string;
  constructor(message: string, options: ErrorOptions & { readonly reason?: string } = {}) {
    super(message, options);
    this.reason = options.reason ?? "it does not answer as it should";
  }
}

const validName = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/;

/** Throws a `TypeError` for a name that no driver may store. */
export function checkName(name: string): void {
  if (!validName.test(name)) {
    throw new TypeError("an object name is 1 to 255 of A-Z a-z 0-9 . _ - and starts with no dot");
  }
}
