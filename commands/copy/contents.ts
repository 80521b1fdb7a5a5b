import { isFingerprint } from "../../oplog/names.ts";
import { partitionOf, type StorageReader } from "../../storage/driver.ts";
import type { Sizes } from "./plan.ts";

const NONE: Sizes = new Map();

/** Has the objects whose names begin with no fingerprint. */
export const NOBODY = "";

/** The user whose object this is, or `NOBODY`. */
export function ownerOf(name: string): string {
  const partition = partitionOf(name);
  return isFingerprint(partition) ? partition : NOBODY;
}

/** What a storage has, by user and name. */
export class Contents {
  readonly #users = new Map<string, Map<string, number>>();

  static async list(storage: Pick<StorageReader, "list">, prefix: string): Promise<Contents> {
    const contents = new Contents();
    for (const { name, size } of await storage.list(prefix)) contents.add(name, size);
    return contents;
  }

  of(user: string): Sizes {
    return this.#users.get(user) ?? NONE;
  }

  add(name: string, size: number): void {
    const user = ownerOf(name);
    const known = this.#users.get(user);
    if (known === undefined) this.#users.set(user, new Map([[name, size]]));
    else known.set(name, size);
  }

  remove(name: string): void {
    this.#users.get(ownerOf(name))?.delete(name);
  }
}
