/** The file in which a device keeps what it received, one row a line. It is a cache: it is not synced. */
import { randomUUID } from "node:crypto";
import { appendFile, link, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Rows, StoredRow } from "../received.ts";
import { hasCode } from "./errors.ts";

const OWNER_ONLY = { mode: 0o600 };

export class ReceivedFile implements Rows {
  readonly #path: string;

  /** @param folder of the device */
  constructor(folder: string) {
    this.#path = join(folder, "received.log");
  }

  async read(): Promise<StoredRow[]> {
    const content = await this.#content();
    if (content === undefined) return [];
    const lines = content.split("\n");
    const torn = lines.pop() ?? "";
    let place = 0;
    const rows = lines.map((row): StoredRow => {
      const stored = { place, row };
      place += row.length + 1;
      return stored;
    });
    if (rows.length === 0) await this.clear();
    // The next row must not follow it on the same line.
    else if (torn !== "") await this.cut(place);
    return rows;
  }

  async begin(first: string, instead: string | undefined): Promise<void> {
    const [present] = await this.read();
    if (present?.row !== instead) return;
    const temporary = `${this.#path}.${randomUUID()}.tmp`;
    await writeFile(temporary, `${first}\n`, OWNER_ONLY);
    try {
      // Unlike a rename, it does not replace the file that another process has made meanwhile.
      if (instead === undefined) await link(temporary, this.#path);
      else await rename(temporary, this.#path);
    } catch (error) {
      // Some file systems have no links.
      if (!hasCode(error, "EEXIST")) await rename(temporary, this.#path);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  append(row: string): Promise<void> {
    return appendFile(this.#path, `${row}\n`, OWNER_ONLY);
  }

  cut(place: number): Promise<void> {
    return truncate(this.#path, place);
  }

  clear(): Promise<void> {
    return rm(this.#path, { force: true });
  }

  /** One character for each byte, whatever they are; `undefined` if there is no file. */
  async #content(): Promise<string | undefined> {
    try {
      return await readFile(this.#path, "latin1");
    } catch (error) {
      if (hasCode(error, "ENOENT")) return undefined;
      throw error;
    }
  }
}
