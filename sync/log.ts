/**
 * The log of a user: append and read, by the rules of PROTOCOL.md.
 *
 * A client's sequence has no holes and no rewrites, ever. What is acknowledged is in storage.
 */
import { ObjectMissing } from "../storage/driver.ts";
import type { Listing, Run, Sequence, Span } from "../storage/listing.ts";
import type { Listings } from "../storage/listings.ts";
import type { Fingerprint, ObjectName } from "../storage/names.ts";
import { md5Of, type Objects } from "../storage/objects.ts";
import { operationLine } from "./protocol.ts";
import { readAhead } from "./read-ahead.ts";
import { Turns } from "./turns.ts";

/** Refused: the operation's index is beyond the next one of its client. */
export class OperationGap extends Error {
  override name = "OperationGap";
  readonly nextIndex: number;
  constructor(nextIndex: number) {
    super(`the next operation of this client has the index ${nextIndex}`);
    this.nextIndex = nextIndex;
  }
}

/** Refused: another payload is stored under the operation's index. */
export class OperationConflict extends Error {
  override name = "OperationConflict";
  readonly index: number;
  constructor(index: number) {
    super(`operation ${index} of this client is stored already, with another payload`);
    this.index = index;
  }
}

/** Operations that were listed, and promised to a reader, are no longer in storage. */
export class OperationsLost extends Error {
  override name = "OperationsLost";
}

/** The operations a reader is not aware of. */
export interface Reading {
  /** How many lines follow. */
  readonly count: number;
  /** The size of the objects they are read from. */
  readonly bytes: number;
  /** The lines in UTF-8; for each client in the order of its operations, without holes. */
  readonly lines: AsyncGenerator<Uint8Array, void, void>;
}

/** What is still to be sent of one client. */
interface Wanted extends Span {
  readonly client: string;
}

/** All payloads that lie under one index of a client: one, unless it is forked. */
interface Entry extends Span {
  readonly client: string;
  readonly runs: Run[];
}

interface Pending {
  readonly name: ObjectName;
  readonly body: Uint8Array;
}

/** Reads under way at once for one reader, and the bytes they may come to. */
const READ_AHEAD = { maxItems: 32, maxBytes: 4 * 1024 * 1024 };

const encoder = new TextEncoder();
// A payload may begin with U+FEFF, which is not a byte order mark then.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

export class Log {
  /** What the log has done so far; read by the metrics. */
  readonly counts = { stored: 0, retried: 0, delivered: 0, gaps: 0, conflicts: 0 };
  readonly #listings: Listings;
  readonly #objects: Objects;
  readonly #turns = new Turns();

  constructor(listings: Listings, objects: Objects) {
    this.#listings = listings;
    this.#objects = objects;
  }

  /**
   * Appends operations of one client, the first under the index `first`. Returns once all of them
   * are in durable storage; those that were there already, with the same payloads, count as that.
   * Throws `OperationGap` or `OperationConflict`, having stored nothing.
   */
  append(
    user: Fingerprint,
    client: string,
    first: number,
    payloads: readonly string[],
  ): Promise<void> {
    const operations = payloads.map((payload, i): Pending => {
      const body = encoder.encode(payload);
      const index = first + i;
      return { name: { user, client, first: index, last: index, md5: md5Of(body) }, body };
    });
    // In turns, so that two requests under one index never both find it free.
    return this.#turns.take(`${user}.${client}`, async () => {
      const missing = await this.#missing(operations);
      this.counts.retried += operations.length - missing.length;
      // One after the other: a crash between two of them leaves no hole.
      for (const { name, body } of missing) {
        await this.#objects.put(name, body).catch((error: unknown) => {
          this.#listings.forget(user);
          throw error;
        });
        this.#listings.appended(name, body.byteLength);
        this.counts.stored++;
      }
    });
  }

  /** The operations above what the reader is aware of: for each client, its last known index. */
  async read(user: Fingerprint, aware: ReadonlyMap<string, number>): Promise<Reading> {
    const listing = await this.#listings.get(user);
    const wanted: Wanted[] = [];
    let count = 0;
    let bytes = 0;
    for (const [client, sequence] of listing.clients) {
      const span = sequence.above(aware.get(client) ?? -1);
      if (span === undefined) continue;
      wanted.push({ client, ...span });
      count += sequence.count(span);
      for (const run of sequence.within(span)) bytes += run.size;
    }
    return { count, bytes, lines: this.#lines(user, listing, wanted, count) };
  }

  /** Which of the operations are to be stored. Throws when they may not be appended. */
  async #missing(operations: readonly Pending[]): Promise<Pending[]> {
    const user = operations[0]?.name.user;
    if (user === undefined) return [];
    const known = notStored(operations, await this.#listings.get(user));
    if (Array.isArray(known)) return known;
    // A cached listing never refuses anybody: another instance may know better.
    const actual = notStored(operations, await this.#listings.fresh(user));
    if (Array.isArray(actual)) return actual;
    if (actual instanceof OperationGap) this.counts.gaps++;
    else this.counts.conflicts++;
    throw actual;
  }

  async *#lines(
    user: Fingerprint,
    listing: Listing,
    wanted: Wanted[],
    count: number,
  ): AsyncGenerator<Uint8Array, void, void> {
    const read = ({ client, runs }: Entry) =>
      Promise.all(runs.map((run) => this.#line({ user, client, ...run })));
    let last: Entry | undefined;
    let sent = 0;
    let sentBeforeListing = -1;
    for (;;) {
      const entries = readAhead(entriesOf(listing, wanted), {
        read: async (entry) => ({ entry, lines: await read(entry) }),
        bytes: ({ runs }) => runs.reduce((sum, { size }) => sum + size, 0),
        ...READ_AHEAD,
      });
      try {
        for await (const { entry, lines } of entries) {
          yield* lines;
          sent += lines.length;
          this.counts.delivered += lines.length;
          last = entry;
        }
        break;
      } catch (error) {
        // An object that is gone was packed together with others: list again, and go on from here.
        if (!(error instanceof ObjectMissing) || sent === sentBeforeListing) throw error;
        sentBeforeListing = sent;
        listing = await this.#listings.fresh(user);
        wanted = after(wanted, last);
      }
    }
    if (sent !== count) throw new OperationsLost(`${count} lines were promised, ${sent} sent`);
  }

  async #line(name: ObjectName): Promise<Uint8Array> {
    const body = await this.#objects.get(name);
    return encoder.encode(operationLine(name.client, name.first, decoder.decode(body)));
  }
}

/** The operations that a listing lacks, or why they may not be appended to it. */
function notStored(
  operations: readonly Pending[],
  listing: Listing,
): Pending[] | OperationGap | OperationConflict {
  const missing: Pending[] = [];
  let next: number | undefined;
  for (const operation of operations) {
    const { client, first: index, md5 } = operation.name;
    const sequence = listing.clients.get(client);
    next ??= sequence?.next ?? 0;
    const stored = storedUnder(sequence, index);
    if (stored.length > 0) {
      if (!stored.some((run) => run.md5 === md5)) return new OperationConflict(index);
    } else {
      if (index > next) return new OperationGap(next);
      missing.push(operation);
    }
    if (index === next) next++;
  }
  return missing;
}

function storedUnder(sequence: Sequence | undefined, index: number): Run[] {
  return sequence === undefined ? [] : [...sequence.within({ first: index, last: index })];
}

/** The entries of all wanted spans, in order. Throws `OperationsLost` where one is missing. */
function* entriesOf(listing: Listing, wanted: readonly Wanted[]): Generator<Entry, void, void> {
  for (const { client, first, last } of wanted) {
    let next = first;
    let entry: Entry | undefined;
    for (const run of listing.clients.get(client)?.within({ first, last }) ?? []) {
      if (run.first === entry?.first) {
        entry.runs.push(run);
        continue;
      }
      if (entry !== undefined) yield entry;
      if (run.first !== next) throw lost(client, next);
      entry = { client, first: run.first, last: run.last, runs: [run] };
      next = run.last + 1;
    }
    if (entry !== undefined) yield entry;
    if (next <= last) throw lost(client, next);
  }
}

/** What is wanted still when `last` was the last entry sent: entries go out in the order wanted. */
function after(wanted: Wanted[], last: Entry | undefined): Wanted[] {
  if (last === undefined) return wanted;
  const rest = wanted.slice(wanted.findIndex(({ client }) => client === last.client));
  return rest
    .map((span) => (span.client === last.client ? { ...span, first: last.last + 1 } : span))
    .filter(({ first, last }) => first <= last);
}

function lost(client: string, index: number): OperationsLost {
  return new OperationsLost(`operation ${index} of client ${client} is no longer in storage`);
}
