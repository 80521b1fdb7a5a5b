import type { Driver } from "./driver.ts";
import { FilesystemDriver } from "./filesystem.ts";
import { MemoryDriver } from "./memory.ts";

/**
 * Opens the storage that the `STORAGE` setting names: `memory:`, or the path of a folder. This is
 * the only place that knows the drivers; a new one is a line here. Throws `StorageUnavailable`
 * when it cannot be opened, and a `TypeError` for a scheme that no driver answers to.
 */
export async function openStorage(location: string): Promise<Driver> {
  const scheme = /^([a-z][a-z0-9+.-]+):/.exec(location)?.[1];
  switch (scheme) {
    case undefined:
      return FilesystemDriver.open(location);
    case "memory":
      return new MemoryDriver();
    default:
      throw new TypeError(`no driver stores in "${scheme}:"; use the path of a folder or memory:`);
  }
}
