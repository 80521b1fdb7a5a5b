import type { Driver, PutOptions, RequestCounts, StoredObject } from "./driver.ts";

/** Takes the kind of a call and how many milliseconds it took. */
export type CallListener = (kind: keyof RequestCounts, milliseconds: number) => void;

/** A driver that counts the calls of another, for the metrics and for tests. */
export class InstrumentedDriver implements Driver {
  /** The other driver's own count where it has one, else its calls. */
  readonly requests: Readonly<RequestCounts>;
  readonly failures: RequestCounts = { list: 0, get: 0, put: 0, delete: 0 };
  readonly bytes = { read: 0, written: 0 };
  readonly #calls: RequestCounts = { list: 0, get: 0, put: 0, delete: 0 };
  readonly #driver: Driver;
  readonly #onCall: CallListener;

  /** @param onCall called with each call that has ended, also with those that failed */
  constructor(driver: Driver, onCall: CallListener = () => undefined) {
    this.#driver = driver;
    this.#onCall = onCall;
    this.requests = driver.requests ?? this.#calls;
  }

  list(prefix: string, withTimes?: boolean): Promise<StoredObject[]> {
    return this.#count("list", this.#driver.list(prefix, withTimes));
  }

  async get(name: string, size?: number): Promise<Uint8Array> {
    const body = await this.#count("get", this.#driver.get(name, size));
    this.bytes.read += body.byteLength;
    return body;
  }

  put(name: string, body: Uint8Array, options?: PutOptions): Promise<void> {
    return this.#count("put", this.#driver.put(name, body, options), body.byteLength);
  }

  delete(name: string, heldBy?: string): Promise<void> {
    return this.#count("delete", this.#driver.delete(name, heldBy));
  }

  get deleteHeld(): Driver["deleteHeld"] {
    const driver = this.#driver;
    if (driver.deleteHeld === undefined) return undefined;
    return async (objects) => {
      const since = performance.now();
      try {
        const deleted = (await driver.deleteHeld?.(objects)) ?? [];
        this.#calls.delete += deleted.length;
        return deleted;
      } catch (error) {
        this.failures.delete++;
        throw error;
      } finally {
        this.#onCall("delete", performance.now() - since);
      }
    };
  }

  onCrowded(pack: (partitions: readonly string[]) => void): void {
    this.#driver.onCrowded?.(pack);
  }

  onJournalBatch(written: (records: number) => void): void {
    this.#driver.onJournalBatch?.(written);
  }

  get room(): Driver["room"] {
    return this.#driver.room?.bind(this.#driver);
  }

  get listsCheaply(): boolean {
    return this.#driver.listsCheaply === true;
  }

  journalBytes(): number {
    return this.#driver.journalBytes?.() ?? 0;
  }

  /** Counts as the put that it tries. */
  async check(): Promise<void> {
    if (this.#driver.check !== undefined) await this.#count("put", this.#driver.check());
    else await this.list("ready.");
  }

  close(): Promise<void> {
    return this.#driver.close();
  }

  async #count<Result>(
    kind: keyof RequestCounts,
    request: Promise<Result>,
    written = 0,
  ): Promise<Result> {
    this.#calls[kind]++;
    const since = performance.now();
    try {
      const result = await request;
      this.bytes.written += written;
      return result;
    } catch (error) {
      this.failures[kind]++;
      throw error;
    } finally {
      this.#onCall(kind, performance.now() - since);
    }
  }
}
