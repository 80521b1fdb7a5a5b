import type { Driver, Warn } from "./driver.ts";
import { FilesystemDriver } from "./filesystem.ts";
import { MemoryDriver } from "./memory.ts";

/** A kind of storage: how the `STORAGE` setting names it, and its driver. */
interface Kind {
  /** The form of the setting in words, for messages. */
  readonly form: string;
  readonly pattern: RegExp;
  readonly open: (location: string, warn: Warn) => Promise<Driver>;
}

/** All kinds of storage. Nothing outside this folder knows which there are. */
const kinds: readonly Kind[] = [
  {
    form: "the path of a folder",
    pattern: /^(?![A-Za-z][A-Za-z0-9+.-]+:)./s,
    open: FilesystemDriver.open,
  },
  {
    form: "s3://bucket/prefix",
    pattern: /^s3:\/\/[a-z0-9][a-z0-9._-]*(\/.*)?$/i,
    // Loaded when it is used: the AWS SDK is larger than all the rest.
    open: async (location) => (await import("./s3.ts")).S3Driver.open(location),
  },
  { form: "memory:", pattern: /^memory:$/, open: async () => new MemoryDriver() },
];

/** The forms that the `STORAGE` setting may have, for messages. */
export const STORAGE_FORMS = kinds.map(({ form }) => form).join(" or ");

/** The `STORAGE` setting as `--help` describes it. */
export const STORAGE_HELP =
  "the path of a folder, or s3://bucket/prefix; memory: keeps nothing after the process ends";

/** True when this location is of a form that `openStorage` opens. */
export function isStorage(location: string): boolean {
  return kindOf(location) !== undefined;
}

/**
 * Opens the storage at a location, as the `STORAGE` setting names it. Throws `StorageUnavailable`
 * when it cannot be opened, and a `TypeError` for a location of no known form.
 *
 * @param warn takes what the operator should know; it is printed to standard error by default
 */
export async function openStorage(location: string, warn: Warn = console.warn): Promise<Driver> {
  const kind = kindOf(location);
  if (kind === undefined) throw new TypeError(`the storage must be ${STORAGE_FORMS}`);
  return kind.open(location, warn);
}

function kindOf(location: string): Kind | undefined {
  return kinds.find(({ pattern }) => pattern.test(location));
}
