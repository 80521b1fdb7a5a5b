/** Lists a partition's folder, however many files it has, while other requests are answered. */
import { opendir, readdir } from "node:fs/promises";
import type { StoredObject } from "./driver.ts";
import { sizeOf } from "./durable-files.ts";
import { filterInSlices, Slices, sortInSlices } from "./slices.ts";

/** A folder that takes this much on its disk may have so many names that they are read in parts. */
const LARGE_FOLDER = 128 * 1024;

/** How many names are read at once: as many as take about a millisecond. */
const NAMES_AT_ONCE = 1024;

export interface FolderListing {
  /** The folder that the names lead to. */
  readonly path: string;
  /** Reads all names in it, in any order. */
  readonly names: () => Promise<readonly string[]>;
  /** Which of them are to be listed. */
  readonly isListed: (name: string) => boolean;
  /** Makes durable what is in the folder. False if it is gone. */
  readonly sync: () => Promise<boolean>;
}

/** By name: the size of a file, `null` for what is no file, `undefined` where none was found. */
type Sizes = Map<string, number | null | undefined>;

/** The files of a folder that are to be listed, in byte order of their names. */
export async function listFolder(listing: FolderListing): Promise<StoredObject[]> {
  const known: Sizes = new Map();
  for (;;) {
    const listed = await filterInSlices(await listing.names(), listing.isListed);
    const names = await sortInSlices(listed, (a, b) => a < b);
    // The sync begins first, because the sizes are read synchronously.
    const [synced, objects] = await Promise.all([
      names.length === 0 || listing.sync(),
      findSizes(listing.path, names, known),
    ]);
    // A file that is gone may have been packed into an object that the list came too early for.
    if (synced && objects !== undefined) return objects;
  }
}

/** The files with these names; `undefined` where one is gone, and what was found is `known`. */
async function findSizes(
  path: string,
  names: readonly string[],
  known: Sizes,
): Promise<StoredObject[] | undefined> {
  const slices = new Slices();
  const objects: StoredObject[] = [];
  let isWhole = true;
  for (const name of names) {
    let size = known.get(name);
    if (size === undefined) {
      size = sizeOf(`${path}/${name}`);
      // Listed twice and missing twice: a name without a file, which must not keep the list going.
      if (size === undefined && known.has(name)) size = null;
      if (size === undefined) isWhole = false;
      if (typeof size !== "number") known.set(name, size);
    }
    if (typeof size === "number") objects.push({ name, size });
    const pause = slices.next();
    if (pause !== undefined) await pause;
  }
  if (isWhole) return objects;
  for (const { name, size } of objects) known.set(name, size);
  return undefined;
}

/**
 * All names in a folder. Node would make strings of all of them in one go; the other runtimes have no
 * better way, and Bun needs none.
 *
 * @param bytes what the folder takes on its disk
 */
export async function readNames(path: string, bytes: number): Promise<string[]> {
  const isNode = process.versions.bun === undefined && process.versions.deno === undefined;
  if (bytes < LARGE_FOLDER || !isNode) return readdir(path);
  const names: string[] = [];
  for await (const { name } of await opendir(path, { bufferSize: NAMES_AT_ONCE })) names.push(name);
  return names;
}
