import { ObjectMissing } from "../storage/driver.ts";
import { bytesIn, type Entry, type EntryReader, linesIn } from "./entries.ts";
import type { Listing } from "./listing.ts";
import type { ListingCache } from "./listing-cache.ts";
import type { Fingerprint } from "./names.ts";
import type { AccessCheck } from "./policy.ts";
import { type MemoryBudget, prefetch } from "./prefetch.ts";
import type { Span } from "./sequence.ts";
import type { Telemetry } from "./telemetry.ts";

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

export interface ReadOptions {
  /** Asked of the listing that is read by. */
  readonly check?: AccessCheck;
  /** Asked for the bytes that are read ahead. */
  readonly budget?: MemoryBudget;
}

/** What is still to be sent of one client. */
interface Wanted extends Span {
  readonly client: string;
}

/** Consecutive entries of a client that are read side by side, and sent as one. */
interface Sending {
  readonly client: string;
  readonly entries: Entry[];
  /** Of the objects they are read from: an object is read whole, whatever is wanted of it. */
  bytes: number;
}

/** Small objects are read and sent so many at a time: each by itself costs more than its bytes. */
const TOGETHER = { entries: 32, bytes: 64 * 1024 };

/** What is read ahead for one reader: the reads under way, and the bytes they may come to. */
const READ_AHEAD = { maxItems: 4, maxBytes: 4 * 1024 * 1024 };

/** How often storage is listed again, in one place, because a listed object was gone when read. */
export const MAX_LISTS = 5;

/** Reads logs: what a reader is not aware of, for each client in order and without holes. */
export class Reader {
  readonly #listings: ListingCache;
  readonly #parts: EntryReader;
  readonly #telemetry: Telemetry;

  constructor(listings: ListingCache, parts: EntryReader, telemetry: Telemetry) {
    this.#listings = listings;
    this.#parts = parts;
    this.#telemetry = telemetry;
  }

  /** The operations above what the reader is aware of: for each client, its last known index. */
  async read(
    user: Fingerprint,
    versionVector: ReadonlyMap<string, number>,
    { check, budget }: ReadOptions = {},
  ): Promise<Reading> {
    let listing = await this.#listings.get(user);
    for (let lists = 0; ; lists++) {
      await check?.(listing);
      try {
        return await this.#reading(user, listing, versionVector, budget, check);
      } catch (error) {
        if (!(error instanceof ObjectMissing) || lists === MAX_LISTS) throw error;
        listing = await this.#listings.fresh(user);
      }
    }
  }

  async #reading(
    user: Fingerprint,
    listing: Listing,
    versionVector: ReadonlyMap<string, number>,
    budget: MemoryBudget | undefined,
    check: AccessCheck | undefined,
  ): Promise<Reading> {
    const wanted: Wanted[] = [];
    let count = 0;
    let bytes = 0;
    for (const [client, sequence] of listing.clients) {
      const span = sequence.above(versionVector.get(client) ?? -1);
      if (span === undefined) continue;
      wanted.push({ client, ...span });
      await this.#parts.sort(user, client, sequence.overlaps(span));
      for (const entry of this.#parts.entries(sequence, span)) {
        count += linesIn(entry);
        bytes += bytesIn(entry);
      }
    }
    return { count, bytes, lines: this.#lines(user, listing, wanted, count, budget, check) };
  }

  async *#lines(
    user: Fingerprint,
    listing: Listing,
    wanted: Wanted[],
    count: number,
    budget: MemoryBudget | undefined,
    check: AccessCheck | undefined,
  ): AsyncGenerator<Uint8Array, void, void> {
    let last: Sending | undefined;
    let sent = 0;
    let sentBefore = -1;
    for (let lists = 0; ; lists++) {
      try {
        for (const { client, ...span } of wanted) {
          await this.#parts.sort(user, client, listing.clients.get(client)?.overlaps(span) ?? []);
        }
        const reads = prefetch(this.#sendings(listing, wanted), {
          read: async (sending) => ({ sending, lines: await this.#linesOf(user, sending) }),
          bytes: (sending) => sending.bytes,
          ...READ_AHEAD,
          budget,
        });
        for await (const { sending, lines } of reads) {
          yield lines;
          const operations = sending.entries.reduce((sum, entry) => sum + linesIn(entry), 0);
          sent += operations;
          this.#telemetry.count("operations", "delivered", operations);
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
        await check?.(listing);
        wanted = after(wanted, last);
      }
    }
    if (sent !== count) throw new OperationsLost(`${count} lines were promised, ${sent} sent`);
  }

  async #linesOf(user: Fingerprint, { client, entries }: Sending): Promise<Uint8Array> {
    const all = await this.#parts.lines(user, client, entries);
    const [only] = all;
    return all.length === 1 && only !== undefined ? only : Buffer.concat(all);
  }

  /** All that is wanted, in order. Throws `OperationsLost` where an operation is missing. */
  *#sendings(listing: Listing, wanted: readonly Wanted[]): Generator<Sending, void, void> {
    for (const { client, first, last } of wanted) {
      let next = first;
      let sending: Sending = { client, entries: [], bytes: 0 };
      const sequence = listing.clients.get(client);
      for (const entry of sequence ? this.#parts.entries(sequence, { first, last }) : []) {
        if (entry.first !== next) throw lost(client, next);
        const bytes = entry.runs.reduce((sum, { size }) => sum + size, 0);
        const full =
          sending.entries.length === TOGETHER.entries || sending.bytes + bytes > TOGETHER.bytes;
        if (full && sending.entries.length > 0) {
          yield sending;
          sending = { client, entries: [], bytes: 0 };
        }
        sending.entries.push(entry);
        sending.bytes += bytes;
        next = entry.last + 1;
      }
      if (sending.entries.length > 0) yield sending;
      if (next <= last) throw lost(client, next);
    }
  }
}

/** What is wanted still when `last` was the last to be sent: they go out in the order wanted. */
function after(wanted: Wanted[], last: Sending | undefined): Wanted[] {
  const end = last?.entries.at(-1)?.last;
  const at = wanted.findIndex(({ client }) => client === last?.client);
  if (last === undefined || end === undefined || at === -1) return wanted;
  const rest = wanted.slice(at);
  return rest
    .map((span) => (span.client === last.client ? { ...span, first: end + 1 } : span))
    .filter(({ first, last }) => first <= last);
}

function lost(client: string, index: number): OperationsLost {
  return new OperationsLost(`operation ${index} of client ${client} is no longer in storage`);
}
