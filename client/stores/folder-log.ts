import { type FileHandle, open } from "node:fs/promises";
import { dirname } from "node:path";
import { StoreDamaged } from "../errors.ts";

const LINE_FEED = 0x0a;
const READ_BYTES = 1024 * 1024;

/** A payload is base64url; zeros and torn writes, which a crash may leave, are not. */
const isPayload = /^[A-Za-z0-9_-]+$/;

/**
 * A file of payloads, one a line, that is only added to. What a crash has left of an append that
 * never returned is cut off when the file opens.
 */
export class LogFile {
  readonly #file: FileHandle;
  /** Where each line begins, and where the last one ends. */
  readonly #starts: number[];

  private constructor(file: FileHandle, starts: number[]) {
    this.#file = file;
    this.#starts = starts;
  }

  /**
   * @param least how many payloads there must be; throws `StoreDamaged`, and cuts off nothing, if
   * there are fewer
   */
  static async open(path: string, least = 0): Promise<LogFile> {
    const file = await open(path, "a+", 0o600);
    try {
      await syncFolder(dirname(path));
      const starts = await findLines(file);
      if (starts.length <= least) throw new StoreDamaged(`${path} has lost operations`);
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

  async append(payloads: readonly string[]): Promise<void> {
    const start = this.#end;
    try {
      await this.#file.appendFile(payloads.map((payload) => `${payload}\n`).join(""));
      await this.#file.datasync();
    } catch (error) {
      // Half of it may be there; the next append must not follow on that.
      await this.#file.truncate(start);
      throw error;
    }
    let end = start;
    for (const payload of payloads) {
      end += payload.length + 1;
      this.#starts.push(end);
    }
  }

  async read(first: number, count: number, bytes: number): Promise<string[]> {
    const start = this.#starts[first];
    if (start === undefined || first >= this.length) return [];
    let past = first + 1;
    const limit = Math.min(first + count, this.length);
    while (past < limit && (this.#starts[past + 1] ?? 0) - start <= bytes) past++;
    const buffer = Buffer.alloc((this.#starts[past] ?? 0) - start);
    const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, start);
    const payloads = buffer.toString("latin1").split("\n");
    const end = payloads.pop();
    if (bytesRead < buffer.length || end !== "" || !payloads.every((one) => isPayload.test(one))) {
      throw new StoreDamaged(`operations ${first} to ${past - 1} of a log cannot be read`);
    }
    return payloads;
  }

  /** Removes what is behind some payloads. */
  async cut(length: number): Promise<void> {
    const end = this.#starts[length];
    if (end === undefined || length >= this.length) return;
    await this.#file.truncate(end);
    await this.#file.sync();
    this.#starts.length = length + 1;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  get #end(): number {
    return this.#starts.at(-1) ?? 0;
  }
}

/** Where the whole lines begin, from the first on, up to the first that is none. */
async function findLines(file: FileHandle): Promise<number[]> {
  const starts = [0];
  const buffer = Buffer.alloc(READ_BYTES);
  let position = 0;
  let rest = "";
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, position);
    if (bytesRead === 0) return starts;
    position += bytesRead;
    const chunk = buffer.subarray(0, bytesRead);
    const lines = (rest + chunk.toString("latin1")).split("\n");
    rest = chunk.includes(LINE_FEED) ? (lines.pop() ?? "") : lines.join("");
    if (!chunk.includes(LINE_FEED)) continue;
    for (const line of lines) {
      if (!isPayload.test(line)) return starts;
      starts.push((starts.at(-1) ?? 0) + line.length + 1);
    }
  }
}

/** Makes new and renamed files in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
