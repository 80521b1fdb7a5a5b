/** What a folder store needs of the file system beyond `node:fs`. */
import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { join } from "node:path";

/** Replaces a file as a whole and durably: a crash leaves the old content or the new one. */
export async function replaceFile(folder: string, name: string, text: string): Promise<void> {
  const temporary = join(folder, `${randomUUID()}.tmp`);
  try {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.writeFile(text);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, join(folder, name));
  } catch (error) {
    // On a full disk, it would take the room that is left. Where it stays, the store removes it later.
    await rm(temporary, { force: true }).catch(() => undefined);
    throw error;
  }
  await syncFolder(folder);
}

/**
 * Makes new and renamed files in a folder durable. False where the system cannot sync folders, as
 * some network mounts cannot: then nothing more can be done than the sync of each file.
 */
export async function syncFolder(path: string): Promise<boolean> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
    return true;
  } catch (error) {
    if (["EINVAL", "ENOTSUP", "EOPNOTSUPP"].some((code) => hasCode(error, code))) return false;
    throw error;
  } finally {
    await folder.close();
  }
}

/** Whether the system gave an error this code, such as `ENOENT`. */
export function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
