import type { Driver, PutOptions } from "../driver.ts";

/** Where objects are that are not in a journal. */
export interface FileStore extends Driver {
  /** Whether an object of this name is stored. */
  has(name: string): boolean;
  /** As `put`. False where the object was stored already. */
  store(name: string, body: Uint8Array, options?: PutOptions): Promise<boolean>;
}
