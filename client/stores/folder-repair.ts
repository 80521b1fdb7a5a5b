/** What becomes of a slot of a folder store whose content is damaged: a copy is kept, the rest goes on. */
import { copyFile, mkdir, open, readdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DraftFile } from "./folder-drafts.ts";
import { syncFolder } from "./folder-files.ts";
import { countPayloads, LogFile } from "./folder-log.ts";
import { clientsWithDrafts, clientsWithLog, draftsPath, logPath } from "./folder-slot.ts";
import { type OwnState, STATE_FILE } from "./folder-state.ts";

/** What a `FolderStore` found damaged, and did about it. */
export interface FolderDamage {
  /** A sentence that says what is damaged. */
  readonly reason: string;
  /** The folder in which what was created here is kept as it was. */
  readonly folder: string;
  /** How many operations could be read. All are sent again, because what was sent is not known. */
  readonly operations: number;
}

/**
 * Copies the state and the logs of a slot into a folder beside it, whose path is returned. The
 * folder has its name once it is complete. The caller holds the lock of the slot.
 */
export async function keepCopy(slot: string): Promise<string> {
  const unfinished = `${slot}.unfinished`;
  // Of a copy that a crash or a full disk cut short.
  await rm(unfinished, { recursive: true, force: true });
  await mkdir(unfinished, { mode: 0o700 });
  for (const name of await readdir(slot)) {
    const counts = name === STATE_FILE || /\.(log|drafts|changes)$/.test(name);
    if (counts) await copy(join(slot, name), join(unfinished, name));
  }
  await syncFolder(unfinished);
  const time = new Date().toISOString().replaceAll(":", "-");
  const folder = `${slot}.damaged-${time}`;
  await rename(unfinished, folder);
  await syncFolder(dirname(slot));
  return folder;
}

/**
 * The client ids with which a damaged slot goes on, with the operations that can be read. Nothing of them
 * counts as acknowledged: the server answers what it has as it answers a retry. None of the client
 * ids may be continued, because operations may be missing at the end.
 *
 * @param known of the damaged state, as far as it could be read
 * @param fresh the client id for new operations
 */
export async function readableOwn(
  folder: string,
  known: OwnState,
  fresh: string,
): Promise<OwnState> {
  const own: OwnState[number][] = [];
  const drafted = await clientsWithDrafts(folder);
  for (const client of await clientsWithLog(folder)) {
    const path = logPath(folder, client);
    // What lies behind has moved to another client id.
    const { length: moved = Infinity, acknowledged = 0 } =
      known.find((one) => one.client === client) ?? {};
    let length = Math.min(await countPayloads(path), moved);
    // The server has an operation that was made of these drafts, if it has acknowledged one in its place.
    const isUnsent = drafted.includes(client) && length >= acknowledged;
    if (isUnsent) length += await endDrafts(folder, client, length);
    own.push({ client, length, acknowledged: 0, highWater: length });
  }
  return [...own, { client: fresh, acknowledged: 0, highWater: 0 }];
}

/** Makes operations of the drafts that follow those of a client id. Returns how many there are. */
async function endDrafts(folder: string, client: string, length: number): Promise<number> {
  const drafts = await DraftFile.readable(draftsPath(folder, client), length);
  const log = await LogFile.open(logPath(folder, client), 0, length);
  try {
    if (drafts.length > 0) await log.append(drafts);
  } finally {
    await log.close();
  }
  return drafts.length;
}

async function copy(from: string, to: string): Promise<void> {
  await copyFile(from, to);
  const file = await open(to, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Says on the console what `FolderDamage` means. */
export function warnDamaged({ reason, folder, operations }: FolderDamage): void {
  console.warn(
    `${reason}. It is kept in ${folder}; the operations that can be read of it (${operations}) are sent again.`,
  );
}
