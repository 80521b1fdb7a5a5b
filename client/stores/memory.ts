import type { Line } from "../../protocol/types.ts";
import type { Cursor } from "../types.ts";
import type { Move, Moved, Place, Received, Store, StoredSnapshot, StoreState } from "./store.ts";
import { checkFollows, storedSnapshot } from "./stored-values.ts";

interface OwnLog {
  payloads: string[];
  drafts: string[];
  acknowledged: number;
  highWater: number;
  delivered?: Place | undefined;
  readonly moved?: Moved;
}

interface ReceivedLog {
  /** The position before the payloads, where they are not the first. */
  readonly start: Cursor | undefined;
  /** The position after them. */
  readonly cursor: Cursor;
  readonly payloads: string[];
}

/** Stores an installation in memory, for tests and for clients that only read. */
export class MemoryStore implements Store {
  readonly #own = new Map<string, OwnLog>();
  readonly #received = new Map<string, ReceivedLog>();
  #snapshot: (Line & StoredSnapshot) | undefined;

  async load(): Promise<StoreState> {
    return {
      own: [...this.#own].map(([client, { payloads, drafts: _, ...own }]) => ({
        client,
        length: payloads.length,
        ...own,
      })),
      drafts: [...([...this.#own.values()].at(-1)?.drafts ?? [])],
      cursors: [...this.#received.values()].map(({ cursor }) => cursor),
      starts: [...this.#received.values()].flatMap(({ start }) => start ?? []),
      ...(this.#snapshot && { snapshot: storedSnapshot(this.#snapshot) }),
    };
  }

  async begin(client: string): Promise<void> {
    this.#own.set(client, { payloads: [], drafts: [], acknowledged: 0, highWater: 0 });
  }

  async append(client: string, first: number, payloads: readonly string[]): Promise<void> {
    const log = this.#log(client);
    if (log.payloads.length !== first) {
      throw new RangeError(`the next operation of ${client} is ${log.payloads.length}`);
    }
    for (const payload of payloads) log.payloads.push(payload);
    log.drafts = [];
  }

  async appendDraft(client: string, index: number, payload: string): Promise<void> {
    const { payloads, drafts } = this.#log(client);
    const next = payloads.length + drafts.length;
    if (index !== next) throw new RangeError(`the next draft of ${client} is ${next}`);
    drafts.push(payload);
  }

  async read(client: string, first: number, count: number, bytes: number): Promise<string[]> {
    return fitting(this.#log(client).payloads, first, count, bytes);
  }

  async acknowledge(client: string, acknowledged: number, delivered?: Place): Promise<void> {
    const log = this.#log(client);
    if (delivered !== undefined) log.delivered = delivered;
    log.acknowledged = acknowledged;
    log.highWater = Math.max(log.highWater, acknowledged);
  }

  async receive(cursor: Cursor, payloads: readonly string[]): Promise<void> {
    const { client, index } = cursor;
    const log = this.#received.get(client);
    checkFollows(log?.cursor, index, payloads.length);
    const known = log?.payloads ?? [];
    for (const payload of payloads) known.push(payload);
    this.#received.set(client, { start: log?.start, cursor, payloads: known });
  }

  async readReceived(client: string, first: number, characters: number): Promise<Received> {
    const log = this.#received.get(client);
    const begin = (log?.start?.index ?? -1) + 1;
    const from = Math.max(first, begin);
    const payloads = fitting(log?.payloads ?? [], from - begin, Infinity, characters);
    return { first: from, payloads };
  }

  async forget(client: string, start: Cursor | undefined): Promise<void> {
    if (start === undefined) this.#received.delete(client);
    else this.#received.set(client, { start, cursor: start, payloads: [] });
  }

  async keepSnapshot(snapshot: Line | undefined, isLoaded: boolean): Promise<void> {
    this.#snapshot = snapshot && { ...snapshot, isLoaded };
  }

  async snapshotLoaded(): Promise<void> {
    this.#snapshot = this.#snapshot && { ...this.#snapshot, isLoaded: true };
  }

  async readSnapshot(): Promise<string | undefined> {
    return this.#snapshot?.payload;
  }

  async move({ from, length, to, payloads }: Move): Promise<void> {
    await this.cut(from, length);
    const moved = { from, first: length, count: payloads.length };
    this.#own.set(to, {
      payloads: [...payloads],
      drafts: [],
      acknowledged: 0,
      highWater: 0,
      moved,
    });
  }

  async cut(client: string, length: number): Promise<void> {
    const log = this.#log(client);
    log.payloads.length = Math.min(log.payloads.length, length);
    log.acknowledged = Math.min(log.acknowledged, length);
    log.highWater = Math.min(log.highWater, length);
  }

  async abandoned(): Promise<Store[]> {
    return [];
  }

  async close(): Promise<void> {
    // The content stays: the next client may be given the same store.
  }

  #log(client: string): OwnLog {
    const log = this.#own.get(client);
    if (log === undefined) throw new RangeError(`${client} is no client id of this store`);
    return log;
  }
}

function fitting(
  payloads: readonly string[],
  first: number,
  count: number,
  characters: number,
): string[] {
  const found: string[] = [];
  let room = characters;
  for (let i = first; i < Math.min(first + count, payloads.length); i++) {
    const payload = payloads[i] ?? "";
    room -= payload.length;
    if (room < 0 && found.length > 0) break;
    found.push(payload);
  }
  return found;
}
