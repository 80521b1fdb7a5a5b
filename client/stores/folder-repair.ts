/** What becomes of a slot of a folder store whose content is damaged: set aside, and taken over. */
import { copyFile, readdir, rename } from "node:fs/promises";
import { join } from "node:path";
import { syncFolder } from "./folder-files.ts";
import { LogFile } from "./folder-log.ts";
import type { OwnClient } from "./store.ts";

/** What a `FolderStore` found damaged, and did about it. */
export interface FolderDamage {
  /** A sentence that says what is damaged. */
  readonly reason: string;
  /** The folder in which everything is kept as it was. */
  readonly folder: string;
  /** How many operations could be read. All are sent again, because what was sent is not known. */
  readonly operations: number;
}

/** Gives the folder of a slot another name. */
export async function setAside(place: string, slot: number): Promise<string> {
  const time = new Date().toISOString().replaceAll(":", "-");
  const folder = join(place, `${slot}.damaged-${time}`);
  await rename(join(place, String(slot)), folder);
  await syncFolder(place);
  return folder;
}

/**
 * Copies the operations that can be read. Nothing of them counts as acknowledged: the server answers
 * what it has as it answers a retry. None of the client ids may be continued, because operations may
 * be missing at the end.
 */
export async function copyLogs(from: string, to: string): Promise<OwnClient[]> {
  const own: OwnClient[] = [];
  for (const name of await readdir(from)) {
    const [, client] = /^([0-9a-f-]{36})\.log$/.exec(name) ?? [];
    if (client === undefined) continue;
    await copyFile(join(from, name), join(to, name));
    const log = await LogFile.open(join(to, name));
    own.push({ client, length: log.length, acknowledged: 0, highWater: log.length });
    await log.close();
  }
  return own;
}
