import type { Driver } from "../driver.ts";

/** Where objects are that are not in a journal. */
export interface FileStore extends Driver {
  /** Whether an object of this name is stored. */
  has(name: string): boolean;
  /** As `put`. False where the object was stored already. */
  store(
    name: string,
    body: Uint8Array,
    md5?: string,
    fromReserve?: boolean,
    storedAt?: number,
  ): Promise<boolean>;
}
