import { realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import {
  JOURNAL_FOLDER,
  keepsBirthTimes,
  makeJournalFolder,
  openDataFolderToRead,
  TEMPORARY_FOLDER,
} from "./data-folder.ts";
import { type Driver, type StorageReader, StorageUnavailable, type Warn } from "./driver.ts";
import { isNotFound } from "./durable-files.ts";
import { FileReader } from "./file-reader.ts";
import { FilesystemDriver } from "./filesystem.ts";
import { guarded, takesNothing } from "./folder-errors.ts";
import { DiskFolder, openReserve } from "./journal/disk-folder.ts";
import { DiskJournals } from "./journal/disk-journals.ts";
import { JournalReader } from "./journal/journal-reader.ts";
import { JournaledDriver } from "./journal/journaled-driver.ts";
import { type DamageListener, Journals } from "./journal/journals.ts";
import { MemoryDriver } from "./memory.ts";

export type { DamageListener } from "./journal/journals.ts";

/** A kind of storage: how the `STORAGE` setting names it, and its driver. */
interface Kind {
  /** The form of the setting in words, for messages. */
  readonly form: string;
  readonly pattern: RegExp;
  readonly open: (location: string, warn: Warn, options: StorageOptions) => Promise<Driver>;
  readonly openToRead: (location: string, onDamage: DamageListener) => Promise<StorageReader>;
  /** Where its objects are, ending with a slash; absent where each `open` has a place of its own. */
  readonly placeOf?: (location: string) => string;
}

/** What only some drivers need. */
export interface StorageOptions {
  /** False: each object becomes a file at once, and what journals hold becomes files. */
  readonly journal?: boolean;
  /**
   * How long copies that are being made still find what was deleted because another object holds it,
   * in milliseconds; a driver that cannot keep it leaves it to its caller.
   */
  readonly retention?: number;
}

/** All kinds of storage. Nothing outside this folder knows which there are. */
const kinds: readonly Kind[] = [
  {
    form: "the path of a folder",
    pattern: /^(?![A-Za-z][A-Za-z0-9+.-]+:)./s,
    open: openFolder,
    openToRead: openFolderToRead,
    placeOf: (location) => `${realPathOf(resolve(location))}/`,
  },
  {
    form: "s3://bucket/prefix",
    pattern: /^s3:\/\/[a-z0-9][a-z0-9._-]*(\/.*)?$/i,
    open: openBucket,
    openToRead: openBucket,
    placeOf: (location) => `${location.split("/").filter(Boolean).join("/")}/`,
  },
  {
    form: "memory:",
    pattern: /^memory:$/,
    open: async () => new MemoryDriver(),
    openToRead: async () => {
      throw new StorageUnavailable("memory: is empty: name the folder or the bucket of a server");
    },
  },
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
export async function openStorage(
  location: string,
  warn: Warn = console.warn,
  options: StorageOptions = {},
): Promise<Driver> {
  const kind = kindOf(location);
  if (kind === undefined) throw new TypeError(`the storage must be ${STORAGE_FORMS}`);
  return kind.open(location, warn, options);
}

/**
 * Opens the storage at a location to look at it: this creates, changes and deletes nothing, and servers
 * may use it meanwhile. What they were about to store when they died is not there before one of them is
 * started again. Throws as `openStorage` does, and for a folder that does not exist.
 *
 * @param onDamage called for each damaged part of a journal
 */
export async function openToRead(
  location: string,
  onDamage: DamageListener,
): Promise<StorageReader> {
  const kind = kindOf(location);
  if (kind === undefined) throw new TypeError(`the storage must be ${STORAGE_FORMS}`);
  return kind.openToRead(location, onDamage);
}

/** True where one of two locations is within the other, or both are the same. */
export function overlap(one: string, other: string): boolean {
  const [a, b] = [one, other].map((location) => kindOf(location)?.placeOf?.(location));
  return a !== undefined && b !== undefined && (a.startsWith(b) || b.startsWith(a));
}

/** A path without links, also of what is not there yet. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if (!isNotFound(error) || dirname(path) === path) throw error;
    return join(realPathOf(dirname(path)), basename(path));
  }
}

/** The AWS SDK is larger than all the rest: it is loaded when it is used. */
async function openBucket(location: string): Promise<Driver> {
  return (await import("./s3.ts")).S3Driver.open(location);
}

/** Opens a folder to look at it. */
async function openFolderToRead(path: string, onDamage: DamageListener): Promise<StorageReader> {
  const root = resolve(path);
  const owners = await guarded(`open the storage folder ${path}`, () => openDataFolderToRead(root));
  const folder = new DiskJournals(join(root, JOURNAL_FOLDER));
  const journals = new Journals({ folder, onDamage });
  const reader = new JournalReader(journals, new FileReader({ root, owners, present: root }));
  await reader.refresh();
  return {
    list: (prefix, withTimes) => reader.list(prefix, withTimes),
    get: (name, size) => reader.get(name, size),
    close: async () => journals.close(),
  };
}

/** Opens a folder of files, with journals in front of them. */
async function openFolder(
  path: string,
  warn: Warn,
  { journal = true, retention }: StorageOptions,
): Promise<Driver> {
  const files = await FilesystemDriver.open(path, warn);
  const root = resolve(path);
  const temporary = join(root, TEMPORARY_FOLDER);
  const prepare = () => makeJournalFolder(root, files.owners);
  const { reserve, tellsCopies } = await guarded(`open the storage folder ${path}`, async () => {
    await prepare().catch(throwUnlessFull);
    return {
      reserve: await openReserve(temporary),
      tellsCopies: (await keepsBirthTimes(temporary)) !== false,
    };
  });
  if (journal && !tellsCopies) {
    warn(
      `the file system of ${path} does not keep when a file was created, so each object is stored ` +
        "as a file at once (JOURNAL=off says the same without this warning)",
    );
  }
  const driver = await JournaledDriver.open({
    files,
    folder: new DiskFolder({ path: join(root, JOURNAL_FOLDER), reserve, prepare }),
    onDamage: (journal, { offset, bytes }) =>
      warn(
        `the journal ${journal} is damaged: what ${bytes} bytes from ${offset} on held is lost, ` +
          "unless devices send it again",
      ),
    onError: (error) => {
      const said = error instanceof Error ? error.message : String(error);
      warn(`journals could not be emptied, which is tried again: ${said}`);
    },
    journal: journal && tellsCopies,
    timing: retention === undefined ? {} : { keep: retention },
  });
  driver.start();
  return driver;
}

/** The folder of journals is made once there is room. */
function throwUnlessFull(error: unknown): void {
  if (!takesNothing(error)) throw error;
}

function kindOf(location: string): Kind | undefined {
  return kinds.find(({ pattern }) => pattern.test(location));
}
