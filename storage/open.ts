import type { Driver } from "./driver.ts";
import { FilesystemDriver } from "./filesystem.ts";
import { MemoryDriver } from "./memory.ts";

/** A driver, and what the `STORAGE` setting looks like for it. */
interface Kind {
  /** The form in words, for messages. */
  readonly form: string;
  readonly pattern: RegExp;
  readonly open: (location: string) => Promise<Driver>;
}

/** The drivers. This file is the only one that knows them; a new one is a line here. */
const kinds: readonly Kind[] = [
  {
    form: "the path of a folder",
    pattern: /^(?![A-Za-z][A-Za-z0-9+.-]+:)./s,
    open: FilesystemDriver.open,
  },
  {
    form: "s3://bucket/prefix",
    pattern: /^s3:\/\/[a-z0-9][a-z0-9._-]*(\/.*)?$/i,
    // Loaded when it is wanted: the AWS SDK is larger than all the rest.
    open: async (location) => (await import("./s3.ts")).S3Driver.open(location),
  },
  { form: "memory:", pattern: /^memory:$/, open: async () => new MemoryDriver() },
];

/** What the `STORAGE` setting may be. */
export const STORAGE_FORMS = kinds.map(({ form }) => form).join(" or ");

/** True when a driver answers to this location. */
export function isStorage(location: string): boolean {
  return kindOf(location) !== undefined;
}

/**
 * Opens the storage that the `STORAGE` setting names. Throws `StorageUnavailable` when it cannot
 * be opened, and a `TypeError` where no driver answers to the location.
 */
export async function openStorage(location: string): Promise<Driver> {
  const kind = kindOf(location);
  if (kind === undefined) throw new TypeError(`storage is ${STORAGE_FORMS}, not ${location}`);
  return kind.open(location);
}

function kindOf(location: string): Kind | undefined {
  return kinds.find(({ pattern }) => pattern.test(location));
}
