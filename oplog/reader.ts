import { ObjectMissing } from "../storage/driver.ts";
import { Slices } from "../storage/slices.ts";
import { MAX_LISTS } from "./client-refresh.ts";
import { bytesIn, type ClientEntry, type Entry, type EntryReader, linesIn } from "./entries.ts";
import type { Listing } from "./listing.ts";
import type { ListingCache } from "./listing-cache.ts";
import type { Asked } from "./listing-load.ts";
import type { Fingerprint } from "./names.ts";
import { ObjectDamaged, ObjectUnfindable } from "./object-cache.ts";
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
  /**
   * The same reading from its beginning, by a new listing. After `ObjectDamaged` it ends before the
   * damaged object, with another count: for a caller that has not sent anything yet.
   */
  readonly again: () => Promise<Reading>;
}

export interface ReadOptions {
  readonly check: AccessCheck;
  /** What the cluster said of the log when the request came; absent where listings go by their age. */
  readonly asked?: Asked | undefined;
  /** Memory for what is read ahead, where readers share it. */
  readonly budget?: MemoryBudget;
}

export interface ReaderOptions {
  readonly listings: ListingCache;
  readonly entries: EntryReader;
  readonly telemetry: Telemetry;
}

/** Operations of one client that are still to be sent. */
interface Wanted extends Span {
  readonly client: string;
  /** What holds them, by the listing that the session uses. */
  readonly entries: Iterable<Entry>;
}

/** Entries that are read side by side, and sent as one: of each client in order. */
interface Chunk {
  readonly entries: ClientEntry[];
  /** Of the objects they are read from: an object is read whole, whatever is wanted of it. */
  bytes: number;
}

/** Small objects are read and sent in chunks: each by itself would cost more than its bytes. */
const CHUNK = { entries: 32, bytes: 64 * 1024 };

/** What is read ahead for one reader: the reads under way, and the bytes they may come to. */
const READER_PREFETCH = { maxItems: 4, maxBytes: 4 * 1024 * 1024 };

/** Reads logs: what a reader is not aware of, for each client in order and without holes. */
export class Reader {
  readonly #options: ReaderOptions;

  constructor(options: ReaderOptions) {
    this.#options = options;
  }

  /**
   * The operations above a version vector: for each client, the last index that the reader knows.
   * Throws what `check` throws, and `StorageUnavailable`; so do the lines, which also throw
   * `ObjectDamaged`, `OperationsLost` and what `budget` throws. A damaged object counts as missing
   * once it is known, so `ObjectDamaged` comes once for each.
   */
  read(
    user: Fingerprint,
    versionVector: ReadonlyMap<string, number>,
    options: ReadOptions,
  ): Promise<Reading> {
    return new ReadSession(this.#options, user, versionVector, options).open();
  }
}

/** One reading: what its reader was promised, and how far it has come. */
class ReadSession implements Reading {
  readonly #listings: ListingCache;
  readonly #entries: EntryReader;
  readonly #telemetry: Telemetry;
  readonly #source: ReaderOptions;
  readonly #user: Fingerprint;
  readonly #versionVector: ReadonlyMap<string, number>;
  readonly #options: ReadOptions;
  #listing: Listing | undefined;
  /** In the order in which it is sent. */
  #wanted: readonly Wanted[] = [];
  /** How many lines the reader was promised, and how many were sent. */
  #promised = 0;
  #sent = 0;
  #bytes = 0;
  #lines: Reading["lines"] | undefined;
  #lastSent: Chunk | undefined;

  constructor(
    source: ReaderOptions,
    user: Fingerprint,
    versionVector: ReadonlyMap<string, number>,
    options: ReadOptions,
  ) {
    const { listings, entries, telemetry } = source;
    this.#source = source;
    this.#listings = listings;
    this.#entries = entries;
    this.#telemetry = telemetry;
    this.#user = user;
    this.#versionVector = versionVector;
    this.#options = options;
  }

  get count(): number {
    return this.#promised;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get lines(): Reading["lines"] {
    this.#lines ??= this.#readLines();
    return this.#lines;
  }

  again(): Promise<Reading> {
    return new ReadSession(this.#source, this.#user, this.#versionVector, this.#options).open();
  }

  async open(): Promise<Reading> {
    const { asked } = this.#options;
    let listing =
      this.#listings.recent(this.#user, asked) ?? (await this.#listings.get(this.#user, asked));
    for (let lists = 0; ; ) {
      const check = this.#options.check(listing);
      if (check !== undefined) await check;
      try {
        await this.#promise(listing);
        return this;
      } catch (error) {
        if (error instanceof ObjectMissing) {
          if (++lists > MAX_LISTS) this.#listings.damaged(this.#user, new ObjectUnfindable(error));
        } else if (!(error instanceof ObjectDamaged)) {
          throw error;
        }
        // Without what is damaged, so that this comes to an end.
        listing = await this.#listings.fresh(this.#user);
      }
    }
  }

  /** Promises what a listing shows. */
  async #promise(listing: Listing): Promise<void> {
    const slices = new Slices();
    const wanted: Wanted[] = [];
    let count = 0;
    let bytes = 0;
    for (const [client, sequence] of listing.clients) {
      const span = sequence.above(this.#versionVector.get(client) ?? -1);
      if (span === undefined) continue;
      const found = this.#entries.entriesOf(this.#user, client, sequence, span);
      const entries = found instanceof Promise ? await found : found;
      wanted.push({ client, ...span, entries });
      for (const entry of entries) {
        count += linesIn(entry);
        bytes += bytesIn(entry);
        const pause = slices.next();
        if (pause !== undefined) await pause;
      }
    }
    this.#listing = listing;
    this.#wanted = wanted;
    this.#promised = count;
    this.#bytes = bytes;
  }

  async *#readLines(): AsyncGenerator<Uint8Array, void, void> {
    /** How often storage was listed again since a line was last sent. */
    let lists = 0;
    for (;;) {
      try {
        if (lists > 0) await this.#listAgain(lists > 1);
        const reads = prefetch(this.#chunks(), {
          read: async (chunk) => ({ chunk, lines: await this.#linesOf(chunk) }),
          bytes: (chunk) => chunk.bytes,
          ...READER_PREFETCH,
          budget: this.#options.budget,
        });
        for await (const { chunk, lines } of reads) {
          const operations = chunk.entries.reduce((sum, { entry }) => sum + linesIn(entry), 0);
          // A fork that was stored meanwhile has more lines than were promised.
          if (this.#sent + operations > this.#promised) throw this.#miscounted(operations);
          yield lines;
          this.#telemetry.count("operations", "delivered", operations);
          this.#sent += operations;
          this.#lastSent = chunk;
          lists = 0;
        }
        break;
      } catch (error) {
        if (!(error instanceof ObjectMissing)) throw error;
        if (++lists <= MAX_LISTS) continue;
        const damage = new ObjectUnfindable(error);
        this.#listings.damaged(this.#user, damage);
        throw damage;
      }
    }
    if (this.#sent !== this.#promised) throw this.#miscounted();
  }

  #miscounted(more = 0): OperationsLost {
    const found = this.#sent + more;
    return new OperationsLost(`${this.#promised} lines were promised, and there are ${found}`);
  }

  /**
   * An object that is gone was packed with others: goes on from here by a listing that shows the
   * segment. If this process has packed it, the cached listing does; otherwise a fresh one.
   */
  async #listAgain(fresh: boolean): Promise<void> {
    const cached = await this.#listings.get(this.#user, this.#options.asked);
    const useCached = !fresh && cached !== this.#listing;
    const listing = useCached ? cached : await this.#listings.fresh(this.#user);
    await this.#options.check(listing);
    const wanted: Wanted[] = [];
    for (const { client, first, last } of remaining(this.#wanted, this.#lastSent)) {
      const sequence = listing.clients.get(client);
      const span = { first, last };
      const entries =
        sequence === undefined
          ? []
          : await this.#entries.entriesOf(this.#user, client, sequence, span);
      wanted.push({ client, ...span, entries });
    }
    this.#listing = listing;
    this.#wanted = wanted;
  }

  async #linesOf({ entries }: Chunk): Promise<Uint8Array> {
    const all = await this.#entries.lines(this.#user, entries);
    const [only] = all;
    return all.length === 1 && only !== undefined ? only : Buffer.concat(all);
  }

  /** All that is wanted, in order. Throws `OperationsLost` where an operation is missing. */
  *#chunks(): Generator<Chunk, void, void> {
    let chunk: Chunk = { entries: [], bytes: 0 };
    for (const { client, first, last, entries } of this.#wanted) {
      let next = first;
      for (const entry of entries) {
        if (entry.first !== next) throw lost(client, next);
        const bytes = entry.runs.reduce((sum, { size }) => sum + size, 0);
        const full = chunk.entries.length === CHUNK.entries || chunk.bytes + bytes > CHUNK.bytes;
        if (full && chunk.entries.length > 0) {
          yield chunk;
          chunk = { entries: [], bytes: 0 };
        }
        chunk.entries.push({ client, entry });
        chunk.bytes += bytes;
        next = entry.last + 1;
      }
      if (next <= last) throw lost(client, next);
    }
    if (chunk.entries.length > 0) yield chunk;
  }
}

/** What is still wanted once `sent`, and so all that is wanted before it, was sent. */
function remaining(
  wanted: readonly Wanted[],
  sent: Chunk | undefined,
): readonly { readonly client: string; readonly first: number; readonly last: number }[] {
  const end = sent?.entries.at(-1);
  const at = wanted.findIndex(({ client }) => client === end?.client);
  if (end === undefined || at === -1) return wanted;
  return wanted
    .slice(at)
    .map((span) => (span.client === end.client ? { ...span, first: end.entry.last + 1 } : span))
    .filter(({ first, last }) => first <= last);
}

function lost(client: string, index: number): OperationsLost {
  return new OperationsLost(`operation ${index} of client ${client} is no longer in storage`);
}
