import {
  checkName,
  type Driver,
  isDamaged,
  ObjectMissing,
  type PutOptions,
  type StoredObject,
} from "./driver.ts";
import { Slices, sortInSlices } from "./slices.ts";

/** Keeps objects in memory, for tests and demonstrations. They are lost when the process ends. */
export class MemoryDriver implements Driver {
  readonly #objects = new Map<string, Uint8Array>();

  async list(prefix: string): Promise<StoredObject[]> {
    const slices = new Slices();
    const found: StoredObject[] = [];
    for (const [name, body] of this.#objects) {
      if (name.startsWith(prefix)) found.push({ name, size: body.byteLength });
      const pause = slices.next();
      if (pause !== undefined) await pause;
    }
    return sortInSlices(found, (a, b) => a.name < b.name);
  }

  async get(name: string): Promise<Uint8Array> {
    const body = this.#objects.get(name);
    if (body === undefined) throw new ObjectMissing(name);
    return body;
  }

  async put(name: string, body: Uint8Array, { md5 }: PutOptions = {}): Promise<void> {
    checkName(name);
    const stored = this.#objects.get(name);
    if (stored !== undefined && (md5 === undefined || !isDamaged(stored, body, md5))) return;
    this.#objects.set(name, new Uint8Array(body));
  }

  async delete(name: string): Promise<void> {
    this.#objects.delete(name);
  }

  async close(): Promise<void> {
    this.#objects.clear();
  }
}
