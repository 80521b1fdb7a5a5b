import type { Bytes } from "../protocol/bytes.ts";
import { bytesOf } from "./draft.ts";
import { NO_PREVIOUS, tagBytes } from "./envelope.ts";
import { entriesOf, type VerifiedRun } from "./operation.ts";
import type { Cursor } from "./types.ts";

/** Opens stored payloads of an own client id. Throws `StoreDamaged` unless each is whole. */
export interface DraftReader {
  /** @param before the position before them, if that is not of an operation */
  verify(
    client: string,
    first: number,
    payloads: readonly string[],
    before?: Cursor,
  ): Promise<VerifiedRun>;
}

/** The entries that wait to become the next operation, and the drafts that they are in. */
export class Waiting {
  /** The entries of the next operation. */
  entries: Bytes[] = [];
  /** Their bytes in it. */
  bytes = 0;
  /** How many drafts they are in. */
  drafts = 0;
  /** The tag of the last draft. */
  tag = NO_PREVIOUS;
  /** How many of the drafts were read from a store, and of the entries, and the last of these drafts. */
  #read: {
    readonly drafts: number;
    readonly entries: number;
    readonly cursor?: Cursor | undefined;
  } = {
    drafts: 0,
    entries: 0,
  };

  /** The last draft, if it was read from a store. */
  get cursor(): Cursor | undefined {
    return this.#read.drafts === this.drafts ? this.#read.cursor : undefined;
  }

  /** Adds the entries of a draft that was stored. */
  add(entries: readonly Bytes[], tag: Bytes): void {
    for (const entry of entries) this.entries.push(entry);
    this.bytes += bytesOf(entries);
    this.drafts++;
    this.tag = tag;
  }

  /**
   * Those of the drafts in a store, of which this may have the first. Throws `StoreDamaged`.
   *
   * @param first the index of the next operation
   */
  async read(
    log: DraftReader,
    client: string,
    first: number,
    drafts: readonly string[],
  ): Promise<Waiting> {
    const next = new Waiting();
    const { cursor: last } = this.#read;
    const isSame = last?.client === client && last.index + 1 === first + this.#read.drafts;
    const known = isSame ? this.#read : next.#read;
    const fresh = drafts.slice(known.drafts);
    let { cursor } = known;
    next.entries = this.entries.slice(0, known.entries);
    if (fresh.length > 0) {
      const run = await log.verify(client, first + known.drafts, fresh, cursor);
      for (const { data } of entriesOf(run.operations)) next.entries.push(data);
      cursor = run.cursor;
    }
    next.bytes = bytesOf(next.entries);
    next.drafts = drafts.length;
    if (cursor !== undefined) next.tag = tagBytes(cursor.tag);
    next.#read = { drafts: drafts.length, entries: next.entries.length, cursor };
    return next;
  }
}
