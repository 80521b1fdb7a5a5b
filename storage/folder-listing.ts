/** Lists a partition's folder, however many files it has, while other requests are answered. */
import { opendir, readdir } from "node:fs/promises";
import type { StoredObject } from "./driver.ts";
import { type FileFound, inFolder, lookAt } from "./durable-files.ts";
import { filterInSlices, Slices, sortInSlices } from "./slices.ts";

/** The part of Deno that is used here: the project has types of Node and Bun only. */
declare const Deno: {
  readonly readDir: (path: string) => AsyncIterable<{ readonly name: string }>;
};

/** A folder that takes this much on its disk may have so many names that they are read in parts. */
const LARGE_FOLDER = 128 * 1024;

/** How many names Node reads at once: as many as take about a millisecond. */
const NAMES_AT_ONCE = 1024;

/** How many objects that are not committed are stored anew at once. */
const RENEWED_AT_ONCE = 16;

export interface FolderListing {
  /** The folder that the names lead to. */
  readonly path: string;
  /** Reads all names in it, in any order. */
  readonly names: () => Promise<readonly string[]>;
  /** Which of them are to be listed. */
  readonly isListed: (name: string) => boolean;
  /** Whether it shows the time of each file. */
  readonly withTimes?: boolean;
  /** Has a file committed that is not, or throws. A retry is acknowledged because a list shows it. */
  readonly renew: (name: string) => Promise<void>;
}

/** By name: a file, `null` for what is no file, `undefined` where none was found. */
type Known = Map<string, StoredObject | null | undefined>;

/** The files of a folder that are to be listed, in byte order of their names. */
export async function listFolder(listing: FolderListing): Promise<StoredObject[]> {
  const known: Known = new Map();
  for (;;) {
    const listed = await filterInSlices(await listing.names(), listing.isListed);
    const names = await sortInSlices(listed, (a, b) => a < b);
    const uncommitted: string[] = [];
    const objects = await findFiles(listing, names, known, uncommitted);
    while (uncommitted.length > 0) {
      await Promise.all(uncommitted.splice(0, RENEWED_AT_ONCE).map((name) => listing.renew(name)));
    }
    // A file that is gone may have been packed into an object that the list came too early for.
    if (objects !== undefined) return objects;
  }
}

/**
 * The files with these names; `undefined` where one is gone, and what was found is `known`. Adds the
 * names of those that are not committed.
 */
async function findFiles(
  { path, withTimes = false }: FolderListing,
  names: readonly string[],
  known: Known,
  uncommitted: string[],
): Promise<StoredObject[] | undefined> {
  const slices = new Slices();
  const objects: StoredObject[] = [];
  let isWhole = true;
  for (const name of names) {
    let object = known.get(name);
    if (object === undefined) {
      const file = lookAt(inFolder(path, name));
      if (file?.isCommitted === false) uncommitted.push(name);
      object = file && objectOf(name, file, withTimes);
      // Listed twice and missing twice: a name without a file, which must not keep the list going.
      if (object === undefined && known.has(name)) object = null;
      if (object === undefined) isWhole = false;
      if (!object) known.set(name, object);
    }
    if (object) objects.push(object);
    const pause = slices.next();
    if (pause !== undefined) await pause;
  }
  if (isWhole) return objects;
  for (const object of objects) known.set(object.name, object);
  return undefined;
}

function objectOf(name: string, { size, storedAt }: FileFound, withTimes: boolean): StoredObject {
  return withTimes ? { name, size, storedAt } : { name, size };
}

/**
 * All names in a folder, in any order. `readdir` would make strings of all of them in one go on Node,
 * and sort them in one go on Deno; Bun has no better way, and needs none.
 *
 * @param bytes what the folder takes on its disk
 */
export async function readNames(path: string, bytes: number): Promise<string[]> {
  const { bun, deno } = process.versions;
  if (bytes < LARGE_FOLDER || bun !== undefined) return readdir(path);
  // Deno's `opendir` reads all names in one go first, only to see whether the folder is there.
  const entries =
    deno === undefined ? await opendir(path, { bufferSize: NAMES_AT_ONCE }) : Deno.readDir(path);
  const names: string[] = [];
  for await (const { name } of entries) names.push(name);
  return names;
}
