import { LRUCache } from "lru-cache";
import {
  type Driver,
  type HeldObject,
  type ObjectMissing,
  ObjectUnreadable,
} from "../storage/driver.ts";
import { type Checksums, isIntact } from "./checksums.ts";
import { formatName, type ObjectName } from "./names.ts";
import type { Telemetry } from "./telemetry.ts";

/** The bytes of an object are not what its name promises. They are never used as data. */
export class ObjectDamaged extends Error {
  override name: string = "ObjectDamaged";
  readonly object: string;
  /** What is wrong with it: what follows its name in a sentence. */
  readonly fault: string;
  constructor(
    object: string,
    fault = "does not have the checksum that its name says",
    options?: ErrorOptions,
  ) {
    super(`the object ${object} ${fault}; restore it from a backup`, options);
    this.object = object;
    this.fault = fault;
  }
}

/** Storage goes on listing an object that it does not find. */
export class ObjectUnfindable extends ObjectDamaged {
  override name = "ObjectUnfindable";
  constructor(cause: ObjectMissing) {
    super(cause.object, "is listed, and is not there", { cause });
  }
}

/** The name of an object to read, with its size in bytes where that is known: see `Driver.get`. */
export type SizedName = ObjectName & { readonly size?: number };

/** What is known of a body before it is read. */
type BodyChecks = Checksums & { readonly size?: number };

/** What an entry takes besides the body: its name, and the cache's own record of it. */
export const BYTES_PER_ENTRY = 256;

/**
 * Larger bodies are cached when they are put, and not when they are read: a new device reads all of
 * them once, one after the other, which would evict everything else.
 */
const CACHED_WHEN_READ = 256 * 1024;

export interface ObjectCacheOptions {
  readonly driver: Driver;
  /** How many bytes are cached: bodies, and `BYTES_PER_ENTRY` for each. 0 caches none. */
  readonly maxBytes: number;
  readonly telemetry: Telemetry;
}

/** The payload cache. An object never changes, so a cached body is never out of date. */
export class ObjectCache {
  readonly #driver: Driver;
  readonly #telemetry: Telemetry;
  readonly #bodies: LRUCache<string, Uint8Array>;
  readonly #reads = new Map<string, Promise<Uint8Array>>();

  constructor({ driver, maxBytes, telemetry }: ObjectCacheOptions) {
    this.#driver = driver;
    this.#telemetry = telemetry;
    this.#bodies = new LRUCache({
      maxSize: Math.max(1, maxBytes),
      sizeCalculation: (body) => BYTES_PER_ENTRY + body.byteLength,
    });
    telemetry.observe("object_cache_bytes", () => this.#bodies.calculatedSize);
  }

  /** How many bytes the cache holds. */
  get cachedBytes(): number {
    return this.#bodies.calculatedSize;
  }

  /** An object's body, where it is cached. */
  cached(name: ObjectName): Uint8Array | undefined {
    return this.#cached(formatName(name));
  }

  /**
   * An object's body. Throws `ObjectMissing` when it is gone, `ObjectDamaged` when its bytes do
   * not match its name or cannot be read, and `StorageUnavailable`. Callers at the same time share one read.
   */
  get(name: SizedName): Promise<Uint8Array> {
    return this.#get(name, true);
  }

  /** As `get`, and caches nothing, for an object that is not read again. */
  getUncached(name: SizedName): Promise<Uint8Array> {
    return this.#get(name, false);
  }

  #get(name: SizedName, keep: boolean): Promise<Uint8Array> {
    const text = formatName(name);
    const cached = this.#cached(text);
    if (cached !== undefined) return Promise.resolve(cached);
    const running = this.#reads.get(text);
    if (running !== undefined) return running;
    this.#telemetry.count("object_cache", "miss");
    const read = this.#read(text, name, keep).finally(() => this.#reads.delete(text));
    this.#reads.set(text, read);
    return read;
  }

  #cached(text: string): Uint8Array | undefined {
    const body = this.#bodies.get(text);
    if (body !== undefined) this.#telemetry.count("object_cache", "hit");
    return body;
  }

  /** Stores a body and caches it, because other devices will soon read it; resolves once it is durable. */
  async put(name: ObjectName, body: Uint8Array): Promise<void> {
    const text = formatName(name);
    await this.#driver.put(text, body, { md5: name.md5 });
    this.#bodies.set(text, body);
  }

  /**
   * As `put`, and caches nothing: for a segment of objects that devices have read already.
   *
   * @param fromReserve where there was no room: see `PutOptions`
   */
  async putUncached(name: ObjectName, body: Uint8Array, fromReserve = false): Promise<void> {
    await this.#driver.put(formatName(name), body, { md5: name.md5, fromReserve });
  }

  /** The body of an object that holds no operations, by the text of its name. Throws as `get` does. */
  getMarker(text: string, checks: BodyChecks): Promise<Uint8Array> {
    return this.#read(text, checks, false);
  }

  /** Stores an object that holds no operations; resolves once it is durable. */
  async putMarker(text: string, body: Uint8Array, md5?: string): Promise<void> {
    await this.#driver.put(text, body, { md5 });
  }

  /**
   * Deletes an object of any kind, by the text of its name.
   *
   * @param heldBy the object that holds the same operations, if it is superseded
   */
  async delete(name: string, heldBy?: string): Promise<void> {
    this.#bodies.delete(name);
    await this.#driver.delete(name, heldBy);
  }

  /** Whether some objects are deleted by `deleteHeld`. */
  get deletesHeld(): boolean {
    return this.#driver.deleteHeld !== undefined;
  }

  /** As `Driver.deleteHeld`. */
  async deleteHeld<Held extends HeldObject>(objects: readonly Held[]): Promise<readonly Held[]> {
    const deleted = (await this.#driver.deleteHeld?.(objects)) ?? [];
    for (const { name } of deleted) this.#bodies.delete(name);
    return deleted;
  }

  async #read(text: string, name: BodyChecks, keep: boolean): Promise<Uint8Array> {
    const body = await this.#driver.get(text, name.size).catch((error: unknown) => {
      if (!(error instanceof ObjectUnreadable)) throw error;
      this.#telemetry.count("object_cache", "damaged");
      throw new ObjectDamaged(text, "cannot be read", { cause: error });
    });
    if (!isIntact(body, name)) {
      this.#telemetry.count("object_cache", "damaged");
      throw new ObjectDamaged(text);
    }
    if (keep && body.byteLength <= CACHED_WHEN_READ) this.#bodies.set(text, body);
    return body;
  }
}
