import { type FileHandle, open, stat } from "node:fs/promises";
import { StoreDamaged } from "../errors.ts";
import type { Cursor } from "../types.ts";
import type { Change } from "./folder-changes.ts";
import { hasCode, syncFolder } from "./folder-files.ts";
import { receivedPath } from "./folder-slot.ts";
import type { ReceivedState } from "./folder-state.ts";
import type { Received } from "./store.ts";
import { checkFollows } from "./stored-values.ts";

const LINE_FEED = 0x0a;
const READ_BYTES = 64 * 1024;

/** The place of one payload of so many is remembered, so that reading begins near the one wanted. */
const PLACES = 64;

/** How many files are synced at once. */
const SYNCS = 32;

/** What is kept of all other installations in a slot, a file for each. */
export class ReceivedFiles {
  readonly #folder: string;
  readonly #states: Map<string, ReceivedState>;
  readonly #files = new Map<string, ReceivedFile>();
  /** Those that a power loss may still change. */
  readonly #unsynced = new Set<string>();
  /** Whether a sync has failed: what it was for may be gone, though it can be read. */
  #hasFailed = false;

  constructor(folder: string, states: readonly ReceivedState[]) {
    this.#folder = folder;
    this.#states = new Map(states.map((one) => [one.cursor.client, one]));
  }

  /** What is kept of each. */
  get all(): ReceivedState[] {
    return [...this.#states.values()];
  }

  /** What is kept of a client id once payloads follow that end with a cursor. */
  after(cursor: Cursor, payloads: readonly string[]): ReceivedState {
    const { cursor: last, start, bytes = 0 } = this.#states.get(cursor.client) ?? {};
    checkFollows(last, cursor.index, payloads.length);
    return { ...(start && { start }), cursor, bytes: bytes + lengthOf(payloads) };
  }

  /** Writes the payloads with which what is kept ends. They count once that is set. */
  async write({ cursor, bytes }: ReceivedState, payloads: readonly string[]): Promise<void> {
    this.#unsynced.add(cursor.client);
    await this.#file(cursor.client).write(bytes - lengthOf(payloads), textOf(payloads));
  }

  /**
   * The same. Resolves once they, and all that is kept of the client id, survive power loss.
   *
   * @param recorded the changes since the state was saved
   */
  async writeDurably(
    received: ReceivedState,
    payloads: readonly string[],
    recorded: () => Promise<readonly Change[]>,
  ): Promise<void> {
    await this.#restoreLost(recorded);
    await this.write(received, payloads);
    await this.#sync([received.cursor.client]);
  }

  /** Sets what is kept of a client id. */
  set(received: ReceivedState): void {
    const { client } = received.cursor;
    // The order is that in which they were received last.
    this.#states.delete(client);
    this.#states.set(client, received);
  }

  /** As `Store.forget`. */
  forget(client: string, start: Cursor | undefined): void {
    this.#files.delete(client);
    if (start === undefined) this.#states.delete(client);
    else this.set({ start, cursor: start, bytes: 0 });
  }

  /** Writes anew what recorded changes brought. Throws `StoreDamaged` where what was before is lost. */
  async restore(changes: readonly Change[]): Promise<void> {
    // Before these, everything of a client id is forgotten, or durable in its file.
    const settled = new Map<string, number>();
    for (const [at, change] of changes.entries()) {
      if (change.kind === "forgotten") settled.set(change.client, at);
      else if (change.kind === "received" && change.payloads === undefined) {
        settled.set(change.received.cursor.client, at);
      }
    }
    for (const [at, change] of changes.entries()) {
      if (change.kind !== "received") continue;
      const { received, payloads } = change;
      const { client } = received.cursor;
      if (at < (settled.get(client) ?? 0)) continue;
      await this.#checkSize(client, received.bytes - lengthOf(payloads ?? []));
      if (payloads !== undefined) await this.write(received, payloads);
    }
  }

  /** Throws `StoreDamaged` where a file has less than what is kept. */
  async check(): Promise<void> {
    for (const { cursor, bytes } of this.all) await this.#checkSize(cursor.client, bytes);
  }

  async #checkSize(client: string, bytes: number): Promise<void> {
    const path = receivedPath(this.#folder, client);
    if (bytes > 0 && (await sizeOf(path)) < bytes) {
      throw new StoreDamaged(`${path} has lost operations`);
    }
  }

  /**
   * Resolves once everything written survives power loss.
   *
   * @param recorded the changes that have brought it
   */
  async sync(recorded: () => Promise<readonly Change[]>): Promise<void> {
    await this.#restoreLost(recorded);
    await this.#sync([...this.#unsynced]);
  }

  async #restoreLost(recorded: () => Promise<readonly Change[]>): Promise<void> {
    if (this.#hasFailed) await this.restore(await recorded());
    this.#hasFailed = false;
  }

  async #sync(clients: readonly string[]): Promise<void> {
    this.#hasFailed = true;
    for (let at = 0; at < clients.length; at += SYNCS) {
      const some = clients.slice(at, at + SYNCS);
      await Promise.all(some.map((client) => this.#file(client).sync()));
    }
    if (clients.length > 0) await syncFolder(this.#folder);
    for (const client of clients) this.#unsynced.delete(client);
    this.#hasFailed = false;
  }

  /** As `Store.readReceived`. */
  async read(client: string, index: number, characters: number): Promise<Received> {
    const { cursor, start, bytes = 0 } = this.#states.get(client) ?? {};
    const begin = (start?.index ?? -1) + 1;
    const first = Math.max(index, begin);
    if (bytes === 0 || first > (cursor?.index ?? -1)) return { first, payloads: [] };
    const payloads = await this.#file(client).read(bytes, first - begin, characters);
    return { first, payloads };
  }

  #file(client: string): ReceivedFile {
    const file = this.#files.get(client) ?? new ReceivedFile(receivedPath(this.#folder, client));
    this.#files.set(client, file);
    return file;
  }
}

/**
 * The received operations of a client id, one payload a line. The state says how many bytes count:
 * what lies behind is of a write that never ended.
 */
class ReceivedFile {
  readonly #path: string;
  /** Where the payloads begin whose numbers are a multiple of `PLACES`, as far as they were read. */
  readonly #places: number[] = [0];

  constructor(path: string) {
    this.#path = path;
  }

  /** Replaces everything from an offset on. */
  async write(offset: number, text: string): Promise<void> {
    const file = await open(this.#path, "a", 0o600);
    try {
      await file.truncate(offset);
      await file.appendFile(text);
    } finally {
      await file.close();
    }
  }

  /** Resolves once what was written survives power loss. */
  async sync(): Promise<void> {
    const file = await open(this.#path, "a", 0o600);
    try {
      await file.datasync();
    } finally {
      await file.close();
    }
  }

  /**
   * Reads payloads from a number on, the first in the file being 0: as many as fit into `characters`,
   * and one at least, if there is one. Throws `StoreDamaged`.
   *
   * @param bytes how many count
   */
  async read(bytes: number, number: number, characters: number): Promise<string[]> {
    const place = Math.min(Math.floor(number / PLACES), this.#places.length - 1);
    let at = place * PLACES;
    let offset = this.#places[place] ?? 0;
    let room = characters;
    const found: string[] = [];
    const file = await open(this.#path, "r");
    try {
      for await (const line of linesOf(file, this.#path, offset, bytes)) {
        if (at >= number) {
          room -= line.length;
          if (room < 0 && found.length > 0) break;
          found.push(line);
        }
        at++;
        offset += line.length + 1;
        if (at === this.#places.length * PLACES) this.#places.push(offset);
        if (room <= 0 && found.length > 0) break;
      }
      return found;
    } finally {
      await file.close();
    }
  }
}

/** The bytes of payloads in a file. */
function lengthOf(payloads: readonly string[]): number {
  return payloads.reduce((sum, { length }) => sum + length + 1, 0);
}

function textOf(payloads: readonly string[]): string {
  return payloads.map((payload) => `${payload}\n`).join("");
}

/** The lines of a part of a file, each with its end. */
async function* linesOf(
  file: FileHandle,
  path: string,
  start: number,
  end: number,
): AsyncGenerator<string, void, void> {
  const buffer = Buffer.alloc(Math.min(READ_BYTES, end - start));
  let rest = "";
  for (let at = start; at < end; ) {
    const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at);
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
