import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { StoreDamaged } from "../errors.ts";
import { syncFolder } from "./folder-files.ts";

const LINE_FEED = 0x0a;
const READ_BYTES = 1024 * 1024;

/** A payload is base64url. The zeros and torn writes that a crash may leave are not. */
const PAYLOAD = /^[A-Za-z0-9_-]+$/;

/** What a power loss may leave of a new block. */
const ZEROS = /^\0+$/;

/**
 * An append-only file of payloads, one a line. Opening it removes what a crash left of an append
 * that never returned: a line without an end, or zeros.
 */
export class LogFile {
  readonly #file: FileHandle;
  /** The offset of each line, and the end of the last one. */
  readonly #starts: number[];
  /** Whether there may be more in the file than the payloads that count. */
  #isTorn = false;

  private constructor(file: FileHandle, starts: number[]) {
    this.#file = file;
    this.#starts = starts;
  }

  /**
   * Opens or creates a file. Throws `StoreDamaged`, and changes nothing, if there are fewer
   * payloads than there must be, or a line that is none.
   *
   * @param least how many payloads there must be
   * @param most how many count, where it is known: the others are removed
   */
  static async open(path: string, least = 0, most = Infinity): Promise<LogFile> {
    const file = await open(path, "a+", 0o600);
    try {
      await syncFolder(dirname(path));
      const { starts, isDamaged } = await findLines(file, most);
      if (starts.length <= least) throw new StoreDamaged(`${path} has lost operations`);
      if (isDamaged) {
        throw new StoreDamaged(`operation ${starts.length - 1} in ${path} cannot be read`);
      }
      const end = starts.at(-1) ?? 0;
      if ((await file.stat()).size > end) await file.truncate(end);
      await file.sync();
      return new LogFile(file, starts);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** How many payloads there are. */
  get length(): number {
    return this.#starts.length - 1;
  }

  /** Removes what an append that failed has left: it would count after a crash. */
  async settle(): Promise<void> {
    if (this.#isTorn) await this.#file.truncate(this.#end);
    this.#isTorn = false;
  }

  /** Appends payloads; resolves once they survive power loss. After an error, none of them is there. */
  async append(payloads: readonly string[]): Promise<void> {
    const start = this.#end;
    await this.settle();
    this.#isTorn = true;
    try {
      await this.#file.appendFile(payloads.map((payload) => `${payload}\n`).join(""));
      await this.#file.datasync();
    } catch (error) {
      await this.#file.truncate(start);
      throw error;
    }
    this.#isTorn = false;
    let end = start;
    for (const payload of payloads) {
      end += payload.length + 1;
      this.#starts.push(end);
    }
  }

  /**
   * The payloads from index `first` on: `count` at most, and no more than fit into `bytes`, but one
   * at least where there is one. Throws `StoreDamaged`.
   */
  async read(first: number, count: number, bytes: number): Promise<string[]> {
    const start = this.#starts[first];
    if (start === undefined || first >= this.length) return [];
    let past = first + 1;
    const limit = Math.min(first + count, this.length);
    while (past < limit && (this.#starts[past + 1] ?? 0) - start <= bytes) past++;
    const buffer = Buffer.alloc((this.#starts[past] ?? 0) - start);
    // What the file no longer has is left as zeros, which no payload has.
    await this.#file.read(buffer, 0, buffer.length, start);
    const payloads = buffer.toString("latin1").split("\n");
    const end = payloads.pop();
    const isWhole = end === "" && payloads.length === past - first;
    if (!isWhole || !payloads.every((one) => PAYLOAD.test(one))) {
      throw new StoreDamaged(`operations ${first} to ${past - 1} of a log cannot be read`);
    }
    return payloads;
  }

  /** Keeps the first payloads, and removes the rest. */
  async cut(length: number): Promise<void> {
    const end = this.#starts[length];
    if (end === undefined || length >= this.length) return;
    await this.#file.truncate(end);
    this.#starts.length = length + 1;
    await this.#file.sync();
  }

  /** Closes the file. It is the last call. */
  async close(): Promise<void> {
    await this.#file.close();
  }

  get #end(): number {
    return this.#starts.at(-1) ?? 0;
  }
}

/** How many payloads of a file can be read, from the first on. Changes nothing. */
export async function countPayloads(path: string): Promise<number> {
  const file = await open(path, "r");
  try {
    return (await findLines(file, Infinity)).starts.length - 1;
  } finally {
    await file.close();
  }
}

interface Lines {
  /** The offset of each payload, up to the first line that is none, and the end of the last one. */
  readonly starts: number[];
  /** Whether such a line follows that no crash leaves: it has an end, and is not of zeros. */
  readonly isDamaged: boolean;
}

async function findLines(file: FileHandle, most: number): Promise<Lines> {
  const starts = [0];
  const buffer = Buffer.alloc(READ_BYTES);
  let position = 0;
  let rest = "";
  let isTorn = false;
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return { starts, isDamaged: false };
    position += bytesRead;
    const chunk = buffer.subarray(0, bytesRead);
    const lines = (rest + chunk.toString("latin1")).split("\n");
    rest = chunk.includes(LINE_FEED) ? (lines.pop() ?? "") : lines.join("");
    if (!chunk.includes(LINE_FEED)) continue;
    for (const line of lines) {
      if (starts.length > most) return { starts, isDamaged: false };
      if (!isTorn && PAYLOAD.test(line)) starts.push((starts.at(-1) ?? 0) + line.length + 1);
      else if (ZEROS.test(line)) isTorn = true;
      else return { starts, isDamaged: true };
    }
  }
}
