/** The payload of the snapshot that a slot keeps, in a file that is written once. */
import { readFile, rm } from "node:fs/promises";
import { basename } from "node:path";
import { StoreDamaged } from "../errors.ts";
import { hasCode, replaceFile } from "./folder-files.ts";
import { snapshotPath } from "./folder-slot.ts";

/** Writes a payload durably. Returns the name of its file. */
export async function writeSnapshot(slot: string, payload: string): Promise<string> {
  const file = crypto.randomUUID();
  await replaceFile(slot, basename(snapshotPath(slot, file)), payload);
  return file;
}

/** Reads it again. Throws `StoreDamaged` where the file is missing. */
export async function readSnapshot(slot: string, file: string): Promise<string> {
  const path = snapshotPath(slot, file);
  try {
    return await readFile(path, "latin1");
  } catch (error) {
    if (hasCode(error, "ENOENT")) throw new StoreDamaged(`${path} is missing`, { cause: error });
    throw error;
  }
}

/** Removes a file that another one has taken the place of. */
export async function removeSnapshot(slot: string, file: string): Promise<void> {
  await rm(snapshotPath(slot, file), { force: true });
}
