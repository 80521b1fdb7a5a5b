import type { Inbox } from "./inbox.ts";
import type { KeptSnapshot } from "./kept-snapshot.ts";
import type { Outbox } from "./outbox.ts";
import type { ReceivedLog } from "./received-log.ts";
import type { Continues, Created, Cursor, Entry, Head } from "./types.ts";
import { entriesOf, isAt } from "./verify.ts";

/** What this device has: the entries that it created, and those that it received. */
export class LocalLog {
  readonly #outbox: Outbox;
  readonly #received: ReceivedLog;
  readonly #inbox: Inbox;
  readonly #kept: KeptSnapshot;

  constructor(outbox: Outbox, received: ReceivedLog, inbox: Inbox, kept: KeptSnapshot) {
    this.#kept = kept;
    this.#outbox = outbox;
    this.#received = received;
    this.#inbox = inbox;
  }

  /**
   * Reads the entries in pieces: the entries of each client id in order, and each entry once. Without
   * the entries that the kept snapshot stands for: its state has them.
   *
   * @param after the entry after which to read, of each client id that is not read from the beginning
   */
  async *entries(after: readonly Created[]): AsyncGenerator<Entry[], void, void> {
    await this.#kept.learn();
    const skipped = new Map(after.map((one) => [one.client, one]));
    // One can be added meanwhile.
    for (const { client } of this.#outbox.own) {
      const { index, position } = skipped.get(client) ?? { index: 0, position: -1 };
      const first = (this.#kept.covered.get(client)?.index ?? -1) + 1;
      const from =
        index < first ? { index: first, position: 0 } : { index, position: position + 1 };
      for await (const { entries } of this.#outbox.entries(client, from)) yield entries;
    }
    const own = await this.#outbox.continued();
    for (const cursor of this.#received.ends) yield* this.#others(cursor, own, skipped);
  }

  /**
   * The newest operation of each client id that the server has acknowledged or sent; of one that
   * another continues, the last that was not moved. Own ones come first, then those heard of last.
   */
  async heads(): Promise<Head[]> {
    const heads = new Map<string, Head>();
    for (const { client, acknowledged } of [...this.#outbox.own].reverse()) {
      const index = acknowledged - 1;
      const tag = await this.#outbox.acknowledgedTag(client, index);
      if (tag !== undefined) heads.set(client, { client, index, tag });
    }
    const { positions } = this.#inbox;
    const newestFirst = positions.all.sort((a, b) => (b.heardAt ?? 0) - (a.heardAt ?? 0));
    for (const { client, index, tag } of newestFirst) {
      const last = Math.min(index, positions.endOf(client) - 1);
      const known = last === index ? tag : await this.#inbox.tagAt(client, last);
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
    const last = skipped.get(client);
    const index = (last?.index ?? 0) - 1;
    const covered = this.#kept.covered.get(client);
    const least = Math.max(index, this.#received.first(client) - 1);
    const before =
      (covered?.index ?? -2) >= least ? covered : await this.#received.cursorAt(client, index);
    for await (const { operations, tagOf } of this.#received.runs(client, before)) {
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
      const tag = await this.#received.tagAt(one.client, one.index + index);
      if (tag !== undefined && isAt(one, index, tag)) return true;
    }
    return false;
  }
}

function isAfter({ index, position }: Entry, last: Created | undefined): boolean {
  if (last === undefined) return true;
  return index > last.index || (index === last.index && position > last.position);
}
