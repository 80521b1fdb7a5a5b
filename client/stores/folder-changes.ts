import { createHash } from "node:crypto";
import { type FileHandle, open, readFile, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { StoreDamaged } from "../errors.ts";
import type { Cursor } from "../types.ts";
import { hasCode, syncFolder } from "./folder-files.ts";
import type { ReceivedState, SnapshotState } from "./folder-state.ts";
import type { Place } from "./store.ts";

/** What has changed in a slot. */
export type Change =
  | {
      readonly kind: "acknowledged";
      readonly client: string;
      readonly count: number;
      readonly delivered?: Place | undefined;
    }
  | {
      readonly kind: "received";
      /** What is kept of the client id then. */
      readonly received: ReceivedState;
      /** The payloads with which that ends; `undefined` where its file has them durably. */
      readonly payloads?: readonly string[] | undefined;
    }
  | { readonly kind: "forgotten"; readonly client: string; readonly start?: Cursor | undefined }
  | { readonly kind: "snapshot"; readonly snapshot?: SnapshotState | undefined };

/**
 * The changes of a slot since its state was saved, one a line with a checksum. So a change costs one
 * short write, and not a state with all cursors and a sync of each file.
 */
export class ChangeLog {
  readonly #path: string;
  #file: FileHandle | undefined;
  #bytes = 0;
  /** Whether there may be more in the file than the changes that count. */
  #isTorn = true;

  /** @param path of a file that need not exist */
  constructor(path: string) {
    this.#path = path;
  }

  /** How much of the file counts. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Reads the changes; those that are appended later follow them. Leaves out what a crash left of a
   * change that was never recorded. Throws `StoreDamaged` where one behind it can be read.
   */
  async read(): Promise<Change[]> {
    const lines = (await textOf(this.#path)).split("\n").slice(0, -1);
    const changes: Change[] = [];
    this.#bytes = 0;
    let isTorn = false;
    for (const line of lines) {
      const change = changeIn(line);
      if (isTorn && change !== undefined) {
        throw new StoreDamaged(`a change in ${this.#path} cannot be read`);
      }
      isTorn ||= change === undefined;
      if (change === undefined) continue;
      changes.push(change);
      this.#bytes += Buffer.byteLength(line) + 1;
    }
    return changes;
  }

  /** Adds a change; resolves once it survives power loss. After an error, it is not there. */
  async append(change: Change): Promise<void> {
    const json = JSON.stringify(change);
    const line = `${checksum(json)} ${json}\n`;
    this.#file ??= await create(this.#path);
    await this.settle();
    this.#isTorn = true;
    try {
      await this.#file.appendFile(line);
      await this.#file.datasync();
    } catch (error) {
      await this.#file.truncate(this.#bytes);
      throw error;
    }
    this.#isTorn = false;
    this.#bytes += Buffer.byteLength(line);
  }

  /** Removes what an append that failed has left: it would count after a crash. */
  async settle(): Promise<void> {
    if (this.#file === undefined) return;
    if (this.#isTorn) await this.#file.truncate(this.#bytes);
    this.#isTorn = false;
  }

  /** Closes the file. It is the last call but for `remove`. */
  async close(): Promise<void> {
    await this.#file?.close();
    this.#file = undefined;
  }

  /** Removes the file, of which nothing counts any more. It is the last call. */
  async remove(): Promise<void> {
    await this.close();
    await rm(this.#path, { force: true });
  }
}

async function create(path: string): Promise<FileHandle> {
  const file = await open(path, "a", 0o600);
  try {
    await syncFolder(dirname(path));
    return file;
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** Empty for a file that is not there. */
async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return "";
    throw error;
  }
}

/** The change in a line, if it is whole. */
function changeIn(line: string): Change | undefined {
  const json = line.slice(CHECKSUM + 1);
  return line.startsWith(`${checksum(json)} `) ? JSON.parse(json) : undefined;
}

const CHECKSUM = 22;

function checksum(text: string): string {
  return createHash("sha256").update(text).digest("base64url").slice(0, CHECKSUM);
}
