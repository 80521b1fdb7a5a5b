import { fdatasync, openSync, writeSync } from "node:fs";
import { promisify } from "node:util";

const sync = promisify(fdatasync);

/**
 * A file to which requests append. What gathers while the disk is busy is written at once and shares
 * one fdatasync: the maximum for durable storage in one file.
 */
export class GroupCommit {
  readonly #file: number;
  #gathered = "";
  #last = Promise.resolve();
  /** The group that gathers until the last one is on the disk. */
  #next: Promise<void> | undefined;

  constructor(path: string) {
    this.#file = openSync(path, "a", 0o600);
  }

  /** Resolves once the text is on the disk. */
  append(text: string): Promise<void> {
    this.#gathered += text;
    if (this.#next === undefined) {
      this.#next = this.#last.then(() => this.#commit());
      this.#last = this.#next;
    }
    return this.#next;
  }

  #commit(): Promise<void> {
    // Into the page cache, which takes less time than a thread to do it.
    writeSync(this.#file, this.#gathered);
    this.#gathered = "";
    this.#next = undefined;
    return sync(this.#file);
  }
}
