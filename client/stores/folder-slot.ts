/** The files of a slot of a folder store, and what a crash leaves of them. */
import { readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { CLIENT_ID } from "../../protocol/ids.ts";
import { StoreDamaged } from "../errors.ts";
import { hasCode } from "./folder-files.ts";
import type { OwnState, State } from "./folder-state.ts";

const LOG = new RegExp(`^(${CLIENT_ID})\\.log$`);
const DRAFTS = new RegExp(`^(${CLIENT_ID})\\.drafts$`);
const RECEIVED = new RegExp(`^(${CLIENT_ID})\\.received$`);
const CHANGES = new RegExp(`^(${CLIENT_ID})\\.changes$`);
const SNAPSHOT = new RegExp(`^(${CLIENT_ID})\\.snapshot$`);
const UNFINISHED = new RegExp(`^${CLIENT_ID}\\.tmp$`);

/** The log of a client id. */
export function logPath(slot: string, client: string): string {
  return join(slot, `${client}.log`);
}

/** The drafts of a client id. */
export function draftsPath(slot: string, client: string): string {
  return join(slot, `${client}.drafts`);
}

/** The operations of another installation. */
export function receivedPath(slot: string, client: string): string {
  return join(slot, `${client}.received`);
}

/** The changes since the state was saved that has their name. */
export function changesPath(slot: string, name: string): string {
  return join(slot, `${name}.changes`);
}

/** The payload of a snapshot, in a file with a name of its own. */
export function snapshotPath(slot: string, file: string): string {
  return join(slot, `${file}.snapshot`);
}

/** The client ids that have drafts. */
export async function clientsWithDrafts(slot: string): Promise<string[]> {
  return (await readdir(slot)).flatMap((name) => DRAFTS.exec(name)?.[1] ?? []);
}

/** A log that counts, under its own name, once the state names its client id. */
export function unfinishedPath(slot: string, client: string): string {
  return join(slot, `${client}.tmp`);
}

/** The client ids that have a log. */
export async function clientsWithLog(slot: string): Promise<string[]> {
  return (await readdir(slot)).flatMap((name) => LOG.exec(name)?.[1] ?? []);
}

/**
 * Gives logs their names where a crash came between that and the state. Throws `StoreDamaged` unless
 * the state names the logs that there are: a crash leaves none but an empty one without a client id.
 */
export async function finishLogs(slot: string, own: OwnState): Promise<void> {
  const found = await clientsWithLog(slot);
  for (const { client } of own) {
    if (!found.includes(client)) await finishLog(slot, client);
  }
  for (const client of found) {
    if (own.some((one) => one.client === client)) continue;
    if ((await stat(logPath(slot, client))).size > 0) {
      throw new StoreDamaged(`the state in ${slot} has lost the client id ${client}`);
    }
  }
}

async function finishLog(slot: string, client: string): Promise<void> {
  const path = logPath(slot, client);
  try {
    await rename(unfinishedPath(slot, client), path);
  } catch (error) {
    if (hasCode(error, "ENOENT")) throw new StoreDamaged(`${path} is missing`, { cause: error });
    throw error;
  }
}

/**
 * Removes what a crash left: files that were never finished, and files that the state does not name;
 * and the drafts of client ids that were given up.
 */
export async function removeLeftovers(
  slot: string,
  { own, received, changes, snapshot }: Omit<State, "version">,
): Promise<void> {
  for (const name of await readdir(slot)) {
    const client = LOG.exec(name)?.[1];
    const isUnknown = client !== undefined && !own.some((one) => one.client === client);
    const drafted = DRAFTS.exec(name)?.[1];
    const isOver = drafted !== undefined && drafted !== own.at(-1)?.client;
    const other = RECEIVED.exec(name)?.[1];
    const isForgotten = other !== undefined && !received.some((one) => one.cursor.client === other);
    const list = CHANGES.exec(name)?.[1];
    const isSaved = list !== undefined && list !== changes;
    const file = SNAPSHOT.exec(name)?.[1];
    const isReplaced = file !== undefined && file !== snapshot?.file;
    // Any other file is not the store's to delete.
    const isLeft = isUnknown || isOver || isForgotten || isSaved || isReplaced;
    if (isLeft || UNFINISHED.test(name)) await rm(join(slot, name), { force: true });
  }
}
