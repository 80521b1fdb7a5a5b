/**
 * The log of a user: append and read, by the rules of PROTOCOL.md.
 *
 * A client's sequence has no holes and no rewrites, ever. What is acknowledged is in storage.
 */
import { ObjectMissing } from "../storage/driver.ts";
import type { Listing } from "../storage/listing.ts";
import type { Listings } from "../storage/listings.ts";
import type { Fingerprint, ObjectName } from "../storage/names.ts";
import { md5Of, type Objects } from "../storage/objects.ts";
import { isOverlap, type Run, type Span } from "../storage/sequence.ts";
import { type Entry, linesIn, Parts } from "./parts.ts";
import { operationLine } from "./protocol.ts";
import { readAhead } from "./read-ahead.ts";
import { encodeSegment } from "./segment.ts";
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
  /** The lines in UTF-8, one or many at a time; for each client in order, without holes. */
  readonly lines: AsyncGenerator<Uint8Array, void, void>;
}

/** Operations that a client has sent, the first under the index `first`. */
interface Batch extends Span {
  readonly user: Fingerprint;
  readonly client: string;
  readonly payloads: readonly string[];
}

/** What is still to be sent of one client. */
interface Wanted extends Span {
  readonly client: string;
}

/** Reads under way at once for one reader, and the bytes they may come to. */
const READ_AHEAD = { maxItems: 32, maxBytes: 4 * 1024 * 1024 };

/** How often storage is listed again, in one place, because a listed object was gone when read. */
const MAX_LISTS = 5;

const encoder = new TextEncoder();

export class Log {
  /** What the log has done so far; read by the metrics. */
  readonly counts = { stored: 0, retried: 0, delivered: 0, gaps: 0, conflicts: 0 };
  readonly #listings: Listings;
  readonly #objects: Objects;
  readonly #parts: Parts;
  readonly #onAppended: (user: Fingerprint) => void;
  readonly #turns = new Turns();

  /** @param onAppended told of every user whose log has grown */
  constructor(
    listings: Listings,
    objects: Objects,
    parts = new Parts(objects),
    onAppended: (user: Fingerprint) => void = () => undefined,
  ) {
    this.#listings = listings;
    this.#objects = objects;
    this.#parts = parts;
    this.#onAppended = onAppended;
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
    const batch = { user, client, first, last: first + payloads.length - 1, payloads };
    // In turns, so that two requests under one index never both find it free.
    return this.#turns.take(`${user}.${client}`, async () => {
      const missing = await this.#missing(batch);
      this.counts.retried += payloads.length;
      // One after the other: a crash between two of them leaves no hole.
      for (const span of missing) {
        await this.#store(batch, span);
        this.counts.stored += span.last - span.first + 1;
        this.counts.retried -= span.last - span.first + 1;
      }
      if (missing.length > 0) this.#onAppended(user);
    });
  }

  /** The operations above what the reader is aware of: for each client, its last known index. */
  async read(user: Fingerprint, aware: ReadonlyMap<string, number>): Promise<Reading> {
    let listing = await this.#listings.get(user);
    for (let lists = 0; ; lists++) {
      try {
        return await this.#reading(user, listing, aware);
      } catch (error) {
        if (!(error instanceof ObjectMissing) || lists === MAX_LISTS) throw error;
        listing = await this.#listings.fresh(user);
      }
    }
  }

  async #reading(
    user: Fingerprint,
    listing: Listing,
    aware: ReadonlyMap<string, number>,
  ): Promise<Reading> {
    const wanted: Wanted[] = [];
    let count = 0;
    let bytes = 0;
    for (const [client, sequence] of listing.clients) {
      const span = sequence.above(aware.get(client) ?? -1);
      if (span === undefined) continue;
      wanted.push({ client, ...span });
      await this.#parts.sort(user, client, sequence.overlaps(span));
      for (const entry of this.#parts.entries(sequence, span)) {
        count += linesIn(entry);
        for (const { run } of entry.parts) bytes += run.size;
      }
    }
    return { count, bytes, lines: this.#lines(user, listing, wanted, count) };
  }

  /** Stores operations of a batch: one as an object of its own, several as one segment. */
  async #store({ user, client, first: start, payloads }: Batch, { first, last }: Span) {
    const some = payloads.slice(first - start, last - start + 1);
    const body = first === last ? encoder.encode(some[0]) : encodeSegment(client, first, some);
    const name: ObjectName = { user, client, first, last, md5: md5Of(body) };
    await this.#objects.put(name, body).catch((error: unknown) => {
      this.#listings.forget(user);
      throw error;
    });
    this.#listings.appended(name, body.byteLength);
  }

  /** Which operations of a batch are to be stored. Throws when they may not be appended. */
  async #missing(batch: Batch): Promise<Span[]> {
    const known = await this.#compare(batch, await this.#listings.get(batch.user));
    if (Array.isArray(known)) return known;
    for (let lists = 1; ; lists++) {
      // A cached listing never refuses anybody: another instance may know better.
      const actual = await this.#compare(batch, await this.#listings.fresh(batch.user));
      if (Array.isArray(actual)) return actual;
      if (actual instanceof ObjectMissing && lists < MAX_LISTS) continue;
      if (actual instanceof OperationGap) this.counts.gaps++;
      if (actual instanceof OperationConflict) this.counts.conflicts++;
      throw actual;
    }
  }

  /** The operations that a listing lacks, or why they may not be appended to it. */
  async #compare(
    batch: Batch,
    listing: Listing,
  ): Promise<Span[] | OperationGap | OperationConflict | ObjectMissing> {
    const sequence = listing.clients.get(batch.client);
    let next = sequence?.next ?? 0;
    const stored: (boolean | undefined)[] = [];
    try {
      for (const piece of sequence?.within(batch) ?? []) {
        for (const run of isOverlap(piece) ? piece.runs : [piece]) {
          await this.#compareWith(run, batch, stored);
        }
      }
    } catch (error) {
      if (error instanceof ObjectMissing) return error;
      throw error;
    }
    const missing: { first: number; last: number }[] = [];
    for (let index = batch.first; index <= batch.last; index++) {
      const same = stored[index - batch.first];
      if (same === false) return new OperationConflict(index);
      if (same === undefined) {
        if (index > next) return new OperationGap(next);
        const span = missing.at(-1);
        if (span?.last === index - 1) span.last = index;
        else missing.push({ first: index, last: index });
      }
      if (index === next) next++;
    }
    return missing;
  }

  /** Notes for each operation of a batch that a run holds whether it has the same payload there. */
  async #compareWith(run: Run, batch: Batch, stored: (boolean | undefined)[]): Promise<void> {
    const { user, client, payloads } = batch;
    const first = Math.max(run.first, batch.first);
    const last = Math.min(run.last, batch.last);
    const note = (index: number, same: boolean) => {
      const i = index - batch.first;
      stored[i] = same || stored[i] === true;
    };
    const payloadOf = (index: number) => payloads[index - batch.first] ?? "";
    if (run.first === run.last) {
      note(first, md5Of(encoder.encode(payloadOf(first))) === run.md5);
      return;
    }
    if (first === run.first && last === run.last) {
      // A batch sent again: the name tells, and storage need not be asked.
      const body = encodeSegment(
        client,
        first,
        payloads.slice(first - batch.first, last - batch.first + 1),
      );
      if (md5Of(body) === run.md5) {
        for (let index = first; index <= last; index++) note(index, true);
        return;
      }
    }
    const segment = await this.#parts.segment(user, client, run);
    for (let index = first; index <= last; index++) {
      const line = encoder.encode(operationLine(client, index, payloadOf(index)));
      note(index, Buffer.compare(segment.lines(index, index), line) === 0);
    }
  }

  async *#lines(
    user: Fingerprint,
    listing: Listing,
    wanted: Wanted[],
    count: number,
  ): AsyncGenerator<Uint8Array, void, void> {
    let last: Sending | undefined;
    let sent = 0;
    let sentBefore = -1;
    for (let lists = 0; ; lists++) {
      try {
        for (const { client, ...span } of wanted) {
          await this.#parts.sort(user, client, listing.clients.get(client)?.overlaps(span) ?? []);
        }
        const entries = readAhead(this.#entries(listing, wanted), {
          read: async (sending) => ({ sending, lines: await this.#read(user, sending) }),
          bytes: ({ parts }) => parts.reduce((sum, { run }) => sum + run.size, 0),
          ...READ_AHEAD,
        });
        for await (const { sending, lines } of entries) {
          yield* lines;
          const operations = linesIn(sending);
          sent += operations;
          this.counts.delivered += operations;
          last = sending;
        }
        break;
      } catch (error) {
        if (sent > sentBefore) lists = 0;
        if (!(error instanceof ObjectMissing) || lists === MAX_LISTS) throw error;
        sentBefore = sent;
        // An object that is gone was packed together with others: go on from here in a listing
        // that knows of it. If this process packed it, that is the cached one.
        const cached = await this.#listings.get(user);
        listing = cached === listing || lists > 0 ? await this.#listings.fresh(user) : cached;
        wanted = after(wanted, last);
      }
    }
    if (sent !== count) throw new OperationsLost(`${count} lines were promised, ${sent} sent`);
  }

  /** The entries of all wanted spans, in order. Throws `OperationsLost` where one is missing. */
  *#entries(listing: Listing, wanted: readonly Wanted[]): Generator<Sending, void, void> {
    for (const { client, first, last } of wanted) {
      let next = first;
      const sequence = listing.clients.get(client);
      const entries = sequence === undefined ? [] : this.#parts.entries(sequence, { first, last });
      for (const entry of entries) {
        if (entry.first !== next) throw lost(client, next);
        yield { client, ...entry };
        next = entry.last + 1;
      }
      if (next <= last) throw lost(client, next);
    }
  }

  #read(user: Fingerprint, { client, parts }: Sending): Promise<Uint8Array[]> {
    return Promise.all(parts.map((part) => this.#parts.lines(user, client, part)));
  }
}

/** An entry of a client, on its way to a reader. */
interface Sending extends Entry {
  readonly client: string;
}

/** What is wanted still when `last` was the last entry sent: entries go out in the order wanted. */
function after(wanted: Wanted[], last: Sending | undefined): Wanted[] {
  if (last === undefined) return wanted;
  const rest = wanted.slice(wanted.findIndex(({ client }) => client === last.client));
  return rest
    .map((span) => (span.client === last.client ? { ...span, first: last.last + 1 } : span))
    .filter(({ first, last }) => first <= last);
}

function lost(client: string, index: number): OperationsLost {
  return new OperationsLost(`operation ${index} of client ${client} is no longer in storage`);
}
