import { StoreDamaged } from "../errors.ts";
import { countPayloads, LogFile } from "./folder-log.ts";

/**
 * The drafts of a client id. The first line of the file is the index of the operation that they are
 * for: once the log has it, they no longer count, and the next draft replaces them.
 */
export class DraftFile {
  readonly #file: LogFile;
  /** The operation that they are for. */
  #index: number;

  private constructor(file: LogFile, index: number) {
    this.#file = file;
    this.#index = index;
  }

  /**
   * Opens or creates a file.
   *
   * @param length of the log: `StoreDamaged` if the drafts are for an operation behind the next one
   */
  static async open(path: string, length: number): Promise<DraftFile> {
    const file = await LogFile.open(path);
    try {
      const [index = "0"] = await file.read(0, 1, 0);
      if (!/^\d+$/.test(index)) throw new StoreDamaged(`${path} cannot be read`);
      if (Number(index) > length) throw new StoreDamaged(`${path} is ahead of its log`);
      return new DraftFile(file, Number(index));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The drafts of the operation that comes after `length` others. */
  async read(length: number): Promise<string[]> {
    return this.count(length) === 0 ? [] : this.#file.read(1, Infinity, Infinity);
  }

  /** How many those are. */
  count(length: number): number {
    return this.#index === length ? Math.max(0, this.#file.length - 1) : 0;
  }

  /** Adds a draft; resolves once it survives power loss. After an error, it is not there. */
  async append(length: number, payload: string): Promise<void> {
    if (this.count(length) > 0) return this.#file.append([payload]);
    await this.#file.cut(0);
    this.#index = length;
    await this.#file.append([String(length), payload]);
  }

  /** As `LogFile.settle`. */
  async settle(): Promise<void> {
    await this.#file.settle();
  }

  /** Closes the file. It is the last call. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Those of a damaged file that can be read, if they are for the operation after `length` others. */
  static async readable(path: string, length: number): Promise<string[]> {
    const count = await countPayloads(path);
    const file = await LogFile.open(path, 0, count);
    try {
      const [index, ...payloads] = await file.read(0, count, Infinity);
      return index === String(length) ? payloads : [];
    } finally {
      await file.close();
    }
  }
}
