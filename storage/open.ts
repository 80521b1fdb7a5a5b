import type { Driver } from "./driver.ts";
import { FilesystemDriver } from "./filesystem.ts";
import { MemoryDriver } from "./memory.ts";

type Open = (location: string) => Promise<Driver>;

/** The drivers, by the scheme of the `STORAGE` setting. What has no scheme is a folder. */
const drivers: Readonly<Record<string, Open>> = {
  memory: async () => new MemoryDriver(),
  // Loaded when it is wanted: the AWS SDK is larger than all the rest.
  s3: async (location) => (await import("./s3.ts")).S3Driver.open(location),
};

/** What the `STORAGE` setting may be, for a message. */
export const STORAGE_FORMS = "the path of a folder, s3://bucket/prefix, or memory:";

/** How a location is opened; `undefined` where no driver answers to its scheme. */
function openerOf(location: string): Open | undefined {
  if (location === "") return undefined;
  const scheme = /^([A-Za-z][A-Za-z0-9+.-]+):/.exec(location)?.[1];
  return scheme === undefined ? FilesystemDriver.open : drivers[scheme];
}

/** True when a driver answers to this location. */
export function isStorage(location: string): boolean {
  return openerOf(location) !== undefined;
}

/**
 * Opens the storage that the `STORAGE` setting names. This file is the only one that knows the
 * drivers. Throws `StorageUnavailable` when it cannot be opened, and a `TypeError` where no driver
 * answers to its scheme.
 */
export async function openStorage(location: string): Promise<Driver> {
  const open = openerOf(location);
  if (open === undefined) throw new TypeError(`storage is ${STORAGE_FORMS}, not ${location}`);
  return open(location);
}
