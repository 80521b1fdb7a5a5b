import { closeSync, constants, fstatSync, openSync, readdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { isNotFound, systemCodeOf } from "../durable-files.ts";
import { DiskFile } from "./disk-file.ts";
import type { JournalFile, JournalFolder } from "./folder.ts";

/** Follows no link, which may lead anywhere, and does not wait for what writes to a pipe. */
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** True for the names that `DiskFolder.newName` makes. */
export function isJournalName(name: string): boolean {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.journal$/.test(name);
}

/** The journals in a folder on disk, to be read. */
export class DiskJournals implements Pick<JournalFolder, "names" | "open"> {
  readonly #path: string;

  /** @param path of a folder that may be missing, below one that exists */
  constructor(path: string) {
    this.#path = path;
  }

  names(): string[] {
    return this.entries().filter(isJournalName).sort();
  }

  open(name: string): JournalFile | undefined {
    try {
      const path = `${this.#path}/${name}`;
      const descriptor = openSync(path, READ);
      if (fstatSync(descriptor).isFile()) return new DiskFile(descriptor, path);
      closeSync(descriptor);
      return undefined;
    } catch (error) {
      if (isNotFound(error) || systemCodeOf(error) === "ELOOP") return undefined;
      throw error;
    }
  }

  /** All that is in the folder: journals, and claims to them. */
  entries(): string[] {
    try {
      return readdirSync(this.#path);
    } catch (error) {
      if (!isNotFound(error)) throw error;
      // Throws where the whole storage is gone.
      statSync(dirname(this.#path));
      return [];
    }
  }
}
