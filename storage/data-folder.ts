/** Opens a data folder. What lies in it is not trusted: other accounts may have put it there. */
import { randomUUID } from "node:crypto";
import { closeSync, constants, lstatSync, openSync, type Stats } from "node:fs";
import { lstat, mkdir, open, readdir, rmdir, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { isName, partitionOf, type Warn } from "./driver.ts";
import {
  commit,
  isCommitted,
  isNotFound,
  lookAt,
  move,
  NewFile,
  remove,
  syncFolder,
  systemCodeOf,
  UNCOMMITTED_FOLDER,
} from "./durable-files.ts";
import { explainSystemError, takesNothing } from "./folder-errors.ts";
import { FolderSyncs } from "./folder-syncs.ts";

/** The bits of a mode that let the group, or everyone, write. */
const WRITABLE_BY_OTHERS = 0o022;

/** The names that `randomUUID` makes, also as `checkWritable` fills them up. */
const temporaryName = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}_*$/;

/** The longest name that a driver has to take. */
const NAME_LENGTH = 255;

/** What people put into a folder has shorter names than objects of operations. */
const LONG_NAME = 100;

/** What is written to see whether the storage takes anything: no less than most operations. */
const TRIAL = new Uint8Array(16 * 1024);

/** For a shell in the storage folder. */
const MOVE_INTO_FOLDERS = `for f in *.*; do mkdir -pm 700 -- "\${f%%.*}" && mv -- "$f" "\${f%%.*}/"; done`;

/** The accounts whose folders may be used. */
export type Owners = ReadonlySet<number | undefined>;

/**
 * Creates a data folder and the folder of temporary files in it, where they are missing, and deletes
 * the temporary files that a crash has left.
 */
export async function openDataFolder(root: string, temporary: string, warn: Warn): Promise<Owners> {
  const top = await mkdir(root, { recursive: true, mode: 0o700 });
  if (await makeFolder(temporary)) await syncNew(top ?? temporary, temporary);
  const { uid, mode } = await stat(root);
  const account = process.getuid?.();
  const owners = ownersOf(uid);
  const inside = await lstat(temporary);
  checkFolder(temporary, inside, owners);
  if (account !== undefined && uid !== account) {
    warn(`the storage folder ${root} belongs to another account, which can change what is in it`);
  }
  if (((mode | inside.mode) & WRITABLE_BY_OTHERS) !== 0) {
    warn(
      `other accounts may write to the storage folder ${root}: run chmod -R go-w on it, if that is not wanted`,
    );
  }
  await checkLayout(root);
  try {
    for (const entry of await readdir(temporary, { withFileTypes: true })) {
      const { name } = entry;
      if (entry.isFile() && temporaryName.test(name)) await remove(join(temporary, name));
    }
    await checkWritable(temporary);
  } catch (error) {
    // What is stored can still be read.
    if (!takesNothing(error)) throw error;
    const { reason, advice } = explainSystemError(error) ?? {};
    warn(`the storage folder ${root} takes nothing new: ${reason}; ${advice}`);
  }
  if (!(await syncFolder(temporary))) {
    warn(
      `the file system of the storage folder ${root} cannot sync folders: an operation that was ` +
        "just stored can be lost when the power fails",
    );
  }
  return owners;
}

/** Looks at a data folder that is only read. Throws where it is none. */
export async function openDataFolderToRead(root: string): Promise<Owners> {
  const found = await stat(root);
  if (!found.isDirectory()) throw new Error(`${root} is not a folder`);
  await checkLayout(root);
  return ownersOf(found.uid);
}

/**
 * The owner of the storage folder can do everything in it; on a network mount that is often not the
 * account that mounted it.
 */
function ownersOf(uid: number): Owners {
  return new Set([process.getuid?.(), uid]);
}

/** The folder of temporary files, below the root. */
export const TEMPORARY_FOLDER = ".tmp";

/** The folder of journals, below the root. */
export const JOURNAL_FOLDER = ".journal";

/** Creates the folder of journals, where it is missing. */
export async function makeJournalFolder(root: string, owners: Owners): Promise<void> {
  await makeCommitted(join(root, JOURNAL_FOLDER), root, new FolderSyncs(), owners);
}

/**
 * Whether a file system keeps when a file was created, by which a file differs from its copies. Some
 * keep no such time, and old kernels report that of the last change instead. `undefined` where no
 * file can be created.
 *
 * @param folder of temporary files
 */
export async function keepsBirthTimes(folder: string): Promise<boolean | undefined> {
  const path = join(folder, randomUUID());
  try {
    const file = await open(path, "wx", 0o600);
    try {
      const before = await file.stat({ bigint: true });
      // Longer than a tick of the clock that files have their times from.
      await setTimeout(20);
      await file.write("x");
      const after = await file.stat({ bigint: true });
      return before.birthtimeMs !== 0n && after.birthtimeMs === before.birthtimeMs;
    } finally {
      await file.close();
      await remove(path);
    }
  } catch (error) {
    if (takesNothing(error)) return undefined;
    throw error;
  }
}

/**
 * Throws where objects lie in the root, as a bucket has them: they would not be found, and the log
 * would seem to be empty.
 */
async function checkLayout(root: string): Promise<void> {
  const isMisplaced = (name: string) =>
    name.length >= LONG_NAME && isName(name) && partitionOf(name) !== name;
  if (!(await readdir(root)).some(isMisplaced)) return;
  throw new Error(
    "objects lie beside its folders, as in a copy of a bucket. Move each into the folder that its " +
      `name begins with: ${MOVE_INTO_FOLDERS}`,
  );
}

/** Does what a put does, with the longest name, in the folder of temporary files. */
export async function checkWritable(temporary: string): Promise<void> {
  const [short, long] = [randomUUID(), randomUUID().padEnd(NAME_LENGTH, "_")];
  const [aside, path] = [join(temporary, short), join(temporary, long)];
  try {
    const file = await NewFile.create(aside, TRIAL);
    try {
      await move(aside, path);
      file.commit();
    } finally {
      file.close();
    }
    if (lookAt(path)?.isCommitted === false)
      throw new Error("the file system keeps no modes of files");
  } catch (error) {
    await remove(aside);
    // Another process that starts deletes temporary files.
    if (!isNotFound(error)) throw error;
    await stat(temporary);
  }
  await remove(path);
}

/** Creates a folder that only this account can read. False if something is there already. */
async function makeFolder(path: string, mode = 0o700): Promise<boolean> {
  try {
    await mkdir(path, { mode });
    return true;
  } catch (error) {
    if (systemCodeOf(error) !== "EEXIST") throw error;
    return false;
  }
}

/**
 * Makes sure of a folder in the root; resolves once it is committed. One that nobody vouches for is
 * made anew, unless something is in it: nothing is put into a folder before it is committed, and a
 * power loss may take the commit.
 */
export async function makeCommitted(
  path: string,
  root: string,
  syncs: FolderSyncs,
  owners: Owners,
): Promise<void> {
  for (;;) {
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) {
      await makeAndCommit(path, root, syncs);
      continue;
    }
    checkFolder(path, found, owners);
    if (isCommitted(found)) return;
    if (!(await removeEmpty(path))) commitAsItIs(path);
  }
}

async function makeAndCommit(path: string, root: string, syncs: FolderSyncs): Promise<void> {
  const made: { folder?: number | undefined } = {};
  try {
    await syncs.cover(root, async () => {
      // Opened before the sync: later, another process may have made another one.
      if (await makeFolder(path, UNCOMMITTED_FOLDER)) made.folder = openFolder(path);
    });
    if (made.folder !== undefined) commit(made.folder);
  } finally {
    if (made.folder !== undefined) closeSync(made.folder);
  }
}

function commitAsItIs(path: string): void {
  const folder = openFolder(path);
  if (folder === undefined) return;
  try {
    commit(folder);
  } finally {
    closeSync(folder);
  }
}

/** Opens a folder, and nothing that a link leads to; `undefined` where there is none any more. */
function openFolder(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Removes a folder. False if something is in it. */
async function removeEmpty(path: string): Promise<boolean> {
  try {
    await rmdir(path);
  } catch (error) {
    const code = systemCodeOf(error);
    if (code === "ENOTEMPTY" || code === "EEXIST") return false;
    if (code !== "ENOENT") throw error;
  }
  return true;
}
/**
 * Throws where a link, a file or the folder of another account is in the place of a folder of the
 * storage. Nothing there is no fault. Returns how many bytes the folder takes, without its files.
 * Synchronous: waking a thread takes many times as long.
 */
export function checkPlace(path: string, owners: Owners): number {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return 0;
  checkFolder(path, found, owners);
  return found.size;
}

function checkFolder(path: string, found: Stats, owners: Owners): void {
  if (found.isSymbolicLink()) throw new Error(`${path} is a link, and leads out of the storage`);
  if (!found.isDirectory()) throw new Error(`${path} is not a folder`);
  if (!owners.has(found.uid)) {
    throw new Error(`${path} belongs to another account: remove it, or chown it to this one`);
  }
}

/**
 * Makes new folders durable: `folder` and all above it up to `top`, in the folder that `top` is in.
 * Where a sync fails they are removed, so that the next start makes them anew.
 */
async function syncNew(top: string, folder: string): Promise<void> {
  try {
    await syncUpTo(dirname(top), folder);
  } catch (error) {
    // What cannot be removed is on a disk that takes nothing, or has been put to use meanwhile.
    await removeUpTo(top, folder).catch(() => undefined);
    throw error;
  }
}

async function syncUpTo(top: string, folder: string): Promise<void> {
  await syncFolder(folder);
  if (folder !== top) await syncUpTo(top, dirname(folder));
}

async function removeUpTo(top: string, folder: string): Promise<void> {
  await rmdir(folder);
  if (folder !== top) await removeUpTo(top, dirname(folder));
}
