import type { Comparison } from "./comparison.ts";
import { isAt } from "./continues.ts";
import type { KeptSnapshot } from "./kept-snapshot.ts";
import { entriesOf } from "./operation.ts";
import type { Outbox } from "./outbox.ts";
import { lastOf, type Positions } from "./positions.ts";
import type { ReceivedLog } from "./received-log.ts";
import type { Continues, Created, Cursor, Entry, Head } from "./types.ts";

/** What a local log reads. */
export interface LocalLogOptions {
  readonly outbox: Outbox;
  readonly log: ReceivedLog;
  readonly positions: Positions;
  readonly comparison: Comparison;
  readonly kept: KeptSnapshot;
}

/** What this device has: the entries that it created, and those that it received. */
export class LocalLog {
  readonly #options: LocalLogOptions;

  constructor(options: LocalLogOptions) {
    this.#options = options;
  }

  /**
   * Reads the entries in pieces: the entries of each client id in order, and each entry once. Without
   * the entries that the kept snapshot stands for: its state has them.
   *
   * @param after the entry after which to read, of each client id that is not read from the beginning
   */
  async *entries(after: readonly Created[]): AsyncGenerator<Entry[], void, void> {
    const { kept, log, outbox } = this.#options;
    await kept.learn();
    const skipped = new Map(after.map((one) => [one.client, one]));
    // One can be added meanwhile.
    for (const { client } of outbox.own) {
      const { index, position } = skipped.get(client) ?? { index: 0, position: -1 };
      const first = lastOf(kept.covered.get(client)) + 1;
      const from =
        index < first ? { index: first, position: 0 } : { index, position: position + 1 };
      for await (const { entries } of outbox.entries(client, from)) yield entries;
    }
    const own = await outbox.continued();
    for (const cursor of log.ends) yield* this.#others(cursor, own, skipped);
  }

  /**
   * The newest operation of each client id that the server has acknowledged or sent; of one that
   * another continues, the last that was not moved. Own ones come first, then those heard of last.
   */
  async heads(): Promise<Head[]> {
    const { comparison, outbox, positions } = this.#options;
    const heads = new Map<string, Head>();
    for (const { client, acknowledged } of [...outbox.own].reverse()) {
      const index = acknowledged - 1;
      const tag = await outbox.acknowledgedTag(client, index);
      if (tag !== undefined) heads.set(client, { client, index, tag });
    }
    const newestFirst = positions.all.sort((a, b) => (b.heardAt ?? 0) - (a.heardAt ?? 0));
    for (const { client, index, tag } of newestFirst) {
      const last = Math.min(index, positions.endOf(client) - 1);
      const known = last === index ? tag : await comparison.tagAt(client, last);
      const isNewer = last >= (heads.get(client)?.index ?? 0);
      if (known !== undefined && isNewer) heads.set(client, { client, index: last, tag: known });
    }
    return [...heads.values()];
  }

  /** Those of a client id of another installation; or of an own one that was in use twice. */
  async *#others(
    { client, continues = [] }: Cursor,
    own: readonly Continues[],
    skipped: ReadonlyMap<string, Created>,
  ): AsyncGenerator<Entry[], void, void> {
    const { kept, log } = this.#options;
    const last = skipped.get(client);
    const index = (last?.index ?? 0) - 1;
    const covered = kept.covered.get(client);
    const least = Math.max(index, log.first(client) - 1);
    const before = (covered?.index ?? -2) >= least ? covered : await log.cursorAt(client, index);
    for await (const { operations, tagOf } of log.runs(client, before)) {
      const wanted: typeof operations = [];
      for (const operation of operations) {
        const { index } = operation;
        const tag = tagOf(index);
        const isOwn = own.some((one) => one.client === client && isAt(one, index - one.index, tag));
        const isCopy = isOwn || (await this.#hasOriginal(continues, index));
        if (!isCopy) wanted.push(operation);
      }
      yield entriesOf(wanted).filter((entry) => isAfter(entry, last));
    }
  }

  /** Whether an operation is a copy of one that is here as well. */
  async #hasOriginal(continues: readonly Continues[], index: number): Promise<boolean> {
    for (const one of continues) {
      const tag = await this.#options.log.tagAt(one.client, one.index + index);
      if (tag !== undefined && isAt(one, index, tag)) return true;
    }
    return false;
  }
}

function isAfter({ index, position }: Entry, last: Created | undefined): boolean {
  if (last === undefined) return true;
  return index > last.index || (index === last.index && position > last.position);
}
