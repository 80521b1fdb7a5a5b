import { type FileHandle, open, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { StoreDamaged } from "../errors.ts";
import type { Cursor } from "../types.ts";
import { hasCode, syncFolder } from "./folder-files.ts";
import { receivedPath } from "./folder-slot.ts";
import type { ReceivedState } from "./folder-state.ts";
import type { Received } from "./store.ts";
import { checkFollows } from "./stored-values.ts";

const LINE_FEED = 0x0a;
const READ_BYTES = 256 * 1024;

/** The files of all other installations in a slot. */
export class ReceivedFiles {
  readonly #folder: string;
  readonly #files = new Map<string, ReceivedFile>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** Throws `StoreDamaged` where a file has less than the state says. */
  async check(received: readonly ReceivedState[]): Promise<void> {
    for (const { cursor, bytes } of received) {
      const path = receivedPath(this.#folder, cursor.client);
      if (bytes > 0 && (await sizeOf(path)) < bytes) {
        throw new StoreDamaged(`${path} has lost operations`);
      }
    }
  }

  /** Adds payloads that end with a cursor to what is known; returns what the state has to say then. */
  async append(
    known: ReceivedState | undefined,
    cursor: Cursor,
    payloads: readonly string[],
  ): Promise<ReceivedState> {
    checkFollows(known?.cursor, cursor.index, payloads.length);
    const bytes = await this.#file(cursor.client).append(known?.bytes ?? 0, payloads);
    return { ...(known?.start && { start: known.start }), cursor, bytes };
  }

  /** As `Store.readReceived`. */
  async read(
    { start, cursor, bytes }: ReceivedState,
    index: number,
    characters: number,
  ): Promise<Received> {
    const begin = (start?.index ?? -1) + 1;
    const first = Math.max(index, begin);
    if (bytes === 0 || first > cursor.index) return { first, payloads: [] };
    const file = this.#file(cursor.client);
    return { first, payloads: await file.read(begin, bytes, first, characters) };
  }

  /** Reads and writes anew what is kept of a client id. */
  forget(client: string): void {
    this.#files.delete(client);
  }

  #file(client: string): ReceivedFile {
    const file = this.#files.get(client) ?? new ReceivedFile(receivedPath(this.#folder, client));
    this.#files.set(client, file);
    return file;
  }
}

/** Where a payload begins in a file. */
interface Place {
  readonly index: number;
  readonly offset: number;
}

/**
 * The received operations of a client id, one payload a line. The state says how many bytes count:
 * what lies behind is of a write that never ended.
 */
class ReceivedFile {
  readonly #path: string;
  /** Where the last read ended, so that reading on begins there. */
  #next: Place | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Writes payloads behind the bytes that count; returns how many count then, once they survive power loss. */
  async append(bytes: number, payloads: readonly string[]): Promise<number> {
    const file = await open(this.#path, "a", 0o600);
    try {
      if (bytes === 0) await syncFolder(dirname(this.#path));
      await file.truncate(bytes);
      const text = payloads.map((payload) => `${payload}\n`).join("");
      await file.appendFile(text);
      await file.datasync();
      return bytes + text.length;
    } finally {
      await file.close();
    }
  }

  /**
   * Reads payloads from an index on: as many as fit into `characters`, and one at least, if there is
   * one. Throws `StoreDamaged`.
   *
   * @param first the index of the first payload in the file
   */
  async read(first: number, bytes: number, index: number, characters: number): Promise<string[]> {
    const isAhead = this.#next !== undefined && this.#next.index <= index;
    const start = isAhead && this.#next ? this.#next : { index: first, offset: 0 };
    const file = await open(this.#path, "r");
    try {
      const found: string[] = [];
      let { index: at, offset } = start;
      let room = characters;
      for await (const line of linesOf(file, this.#path, offset, bytes)) {
        if (at >= index) {
          room -= line.length;
          if (room < 0 && found.length > 0) break;
          found.push(line);
        }
        at++;
        offset += line.length + 1;
      }
      this.#next = { index: at, offset };
      return found;
    } finally {
      await file.close();
    }
  }
}

/** The lines of a part of a file, each with its end. */
async function* linesOf(
  file: FileHandle,
  path: string,
  start: number,
  end: number,
): AsyncGenerator<string, void, void> {
  const buffer = Buffer.alloc(READ_BYTES);
  let rest = "";
  for (let at = start; at < end; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(READ_BYTES, end - at), at);
    if (bytesRead === 0) throw new StoreDamaged(`${path} has lost operations`);
    at += bytesRead;
    const chunk = buffer.subarray(0, bytesRead);
    if (!chunk.includes(LINE_FEED)) {
      rest += chunk.toString("latin1");
      continue;
    }
    const lines = (rest + chunk.toString("latin1")).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  if (rest !== "") throw new StoreDamaged(`${path} cannot be read`);
}

/** 0 for a file that is not there. */
async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return 0;
    throw error;
  }
}
