import { ObjectMissing } from "../storage/driver.ts";
import type { Listing } from "../storage/listing.ts";
import type { Listings } from "../storage/listings.ts";
import type { Fingerprint } from "../storage/names.ts";
import type { Span } from "../storage/sequence.ts";
import { bytesIn, type Entry, linesIn, type Parts } from "./parts.ts";
import { readAhead } from "./read-ahead.ts";

/** Operations that were listed, and promised to a reader, are no longer in storage. */
export class OperationsLost extends Error {
  override name = "OperationsLost";
}

/** The operations a reader is not aware of. */
export interface Reading {
  /** How many lines follow. */
  readonly count: number;
  /** How many bytes they come to, roughly. */
  readonly bytes: number;
  /** The lines in UTF-8, one or many at a time; for each client in order, without holes. */
  readonly lines: AsyncGenerator<Uint8Array, void, void>;
}

/** What is still to be sent of one client. */
interface Wanted extends Span {
  readonly client: string;
}

/** An entry of a client, on its way to a reader. */
interface Sending extends Entry {
  readonly client: string;
}

/** Reads under way at once for one reader, and the bytes they may come to. */
const READ_AHEAD = { maxItems: 32, maxBytes: 4 * 1024 * 1024 };

/** How often storage is listed again, in one place, because a listed object was gone when read. */
export const MAX_LISTS = 5;

/** Reads logs: what a reader is not aware of, for each client in order and without holes. */
export class Reader {
  /** How many operations were delivered; read by the metrics. */
  delivered = 0;
  readonly #listings: Listings;
  readonly #parts: Parts;

  constructor(listings: Listings, parts: Parts) {
    this.#listings = listings;
    this.#parts = parts;
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
        bytes += bytesIn(entry);
      }
    }
    return { count, bytes, lines: this.#lines(user, listing, wanted, count) };
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
          read: async (sending) => ({
            sending,
            lines: await this.#parts.lines(user, sending.client, sending),
          }),
          // An object is read whole, whatever is wanted of it.
          bytes: ({ runs }) => runs.reduce((sum, { size }) => sum + size, 0),
          ...READ_AHEAD,
        });
        for await (const { sending, lines } of entries) {
          yield* lines;
          const operations = linesIn(sending);
          sent += operations;
          this.delivered += operations;
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
}

/** What is wanted still when `last` was the last entry sent: entries go out in the order wanted. */
function after(wanted: Wanted[], last: Sending | undefined): Wanted[] {
  const at = wanted.findIndex(({ client }) => client === last?.client);
  if (last === undefined || at === -1) return wanted;
  const rest = wanted.slice(at);
  return rest
    .map((span) => (span.client === last.client ? { ...span, first: last.last + 1 } : span))
    .filter(({ first, last }) => first <= last);
}

function lost(client: string, index: number): OperationsLost {
  return new OperationsLost(`operation ${index} of client ${client} is no longer in storage`);
}
