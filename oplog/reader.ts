import { setImmediate as turn } from "node:timers/promises";
import { ObjectMissing } from "../storage/driver.ts";
import {
  type Chunk,
  chunksOf,
  linesOfChunk,
  OperationsLost,
  OperationsTrimmed,
  remaining,
} from "./chunks.ts";
import { MAX_LISTS } from "./client-refresh.ts";
import type { EntryReader } from "./entries.ts";
import type { Listing } from "./listing.ts";
import type { ListingCache } from "./listing-cache.ts";
import type { Asked } from "./listing-load.ts";
import type { Fingerprint } from "./names.ts";
import { ObjectDamaged, ObjectUnfindable } from "./object-cache.ts";
import type { AccessCheck } from "./policy.ts";
import { type MemoryBudget, prefetch } from "./prefetch.ts";
import { type PlannedReader, type ReadPlan, ReadPlanner, type Wanted } from "./read-plan.ts";
import { NoUsableSnapshot, type Snapshots, snapshotLine } from "./snapshots.ts";
import type { Telemetry } from "./telemetry.ts";

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
  /** Whether the reader can go on from a snapshot. */
  readonly takesSnapshots?: boolean;
}

export interface ReaderOptions {
  readonly listings: ListingCache;
  readonly entries: EntryReader;
  readonly snapshots: Snapshots;
  readonly telemetry: Telemetry;
}

const NOTHING: ReadPlan = { snapshot: undefined, wanted: [], count: 0, bytes: 0 };

interface ReaderSource extends ReaderOptions {
  readonly planner: ReadPlanner;
}

/** What is read ahead for one reader: the reads under way, and the bytes they may come to. */
const READER_PREFETCH = { maxItems: 4, maxBytes: 4 * 1024 * 1024 };

/**
 * Node accepts one connection in each turn of its event loop. A chunk that is larger waits for a turn
 * for so many bytes: otherwise those who connect wait until each reader of large operations before
 * them is served.
 */
const TURN_BYTES = 64 * 1024;

/** Reads logs: what a reader is not aware of, for each client in order and without holes. */
export class Reader {
  readonly #source: ReaderSource;

  constructor(options: ReaderOptions) {
    const { entries, snapshots } = options;
    this.#source = { ...options, planner: new ReadPlanner(entries, snapshots) };
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
    return new ReadSession(this.#source, user, versionVector, options).open();
  }
}

/** One reading: what its reader was promised, and how far it has come. */
class ReadSession implements Reading, PlannedReader {
  readonly #listings: ListingCache;
  readonly #entries: EntryReader;
  readonly #telemetry: Telemetry;
  readonly #planner: ReadPlanner;
  readonly #source: ReaderSource;
  readonly user: Fingerprint;
  readonly versionVector: ReadonlyMap<string, number>;
  readonly #options: ReadOptions;
  #listing: Listing | undefined;
  #plan: ReadPlan = NOTHING;
  /** How many lines the reader was promised, and how many were sent. */
  #promised = 0;
  #sent = 0;
  #bytes = 0;
  #lines: Reading["lines"] | undefined;
  #lastSent: Chunk | undefined;

  constructor(
    source: ReaderSource,
    user: Fingerprint,
    versionVector: ReadonlyMap<string, number>,
    options: ReadOptions,
  ) {
    const { listings, entries, planner, telemetry } = source;
    this.#source = source;
    this.#listings = listings;
    this.#entries = entries;
    this.#planner = planner;
    this.#telemetry = telemetry;
    this.user = user;
    this.versionVector = versionVector;
    this.#options = options;
  }

  get takesSnapshots(): boolean {
    return this.#options.takesSnapshots === true;
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
    return new ReadSession(this.#source, this.user, this.versionVector, this.#options).open();
  }

  async open(): Promise<Reading> {
    const { asked } = this.#options;
    let listing =
      this.#listings.recent(this.user, asked) ?? (await this.#listings.get(this.user, asked));
    for (let lists = 0; ; ) {
      const check = this.#options.check(listing);
      if (check !== undefined) await check;
      try {
        await this.#promise(listing);
        return this;
      } catch (error) {
        if (error instanceof NoUsableSnapshot) {
          // Another server may have stored one.
          if (++lists > 1) throw error;
        } else if (error instanceof ObjectMissing) {
          if (++lists > MAX_LISTS) this.#listings.damaged(this.user, new ObjectUnfindable(error));
        } else if (!(error instanceof ObjectDamaged)) {
          throw error;
        }
        // Without what is damaged, so that this comes to an end.
        listing = await this.#listings.fresh(this.user);
      }
    }
  }

  /** Promises what a listing shows. */
  async #promise(listing: Listing): Promise<void> {
    const plan = await this.#planner.plan(listing, this);
    this.#listing = listing;
    this.#plan = plan;
    this.#promised = plan.count;
    this.#bytes = plan.bytes;
  }

  async *#readLines(): AsyncGenerator<Uint8Array, void, void> {
    /** How often storage was listed again since a line was last sent. */
    let lists = 0;
    for (;;) {
      try {
        if (lists > 0) await this.#listAgain(lists > 1);
        const reads = prefetch(chunksOf(this.#plan), {
          read: async (chunk) => ({ chunk, lines: await this.#linesOf(chunk) }),
          bytes: (chunk) => chunk.bytes,
          ...READER_PREFETCH,
          budget: this.#options.budget,
        });
        for await (const { chunk, lines } of reads) {
          const operations = linesOfChunk(chunk);
          // A fork that was stored meanwhile has more lines than were promised.
          if (this.#sent + operations > this.#promised) throw this.#miscounted(operations);
          yield lines;
          this.#telemetry.count("operations", "delivered", operations);
          if (chunk.covers !== undefined) this.#telemetry.count("snapshots", "delivered");
          this.#sent += operations;
          this.#lastSent = chunk;
          lists = 0;
        }
        break;
      } catch (error) {
        if (!(error instanceof ObjectMissing)) throw error;
        if (++lists <= MAX_LISTS) continue;
        const damage = new ObjectUnfindable(error);
        this.#listings.damaged(this.user, damage);
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
    const cached = await this.#listings.get(this.user, this.#options.asked);
    const useCached = !fresh && cached !== this.#listing;
    const listing = useCached ? cached : await this.#listings.fresh(this.user);
    await this.#options.check(listing);
    const { snapshot, wanted } = this.#plan;
    // Nothing was sent yet, so the snapshot is still to be.
    const isFirst = this.#lastSent === undefined;
    this.#plan = {
      ...this.#plan,
      snapshot: isFirst && snapshot ? await this.#wantedBy(listing, snapshot) : undefined,
      wanted: await this.#allWantedBy(listing, remaining(wanted, this.#lastSent)),
    };
    this.#listing = listing;
  }

  async #allWantedBy(listing: Listing, wanted: readonly Wanted[]): Promise<readonly Wanted[]> {
    const all: Wanted[] = [];
    for (const some of wanted) all.push(await this.#wantedBy(listing, some));
    return all;
  }

  /** The same, with what holds it by another listing. */
  async #wantedBy<Some extends Wanted>(listing: Listing, some: Some): Promise<Some> {
    const { client, first, last } = some;
    if (first < (listing.clients.get(client)?.base ?? 0)) {
      throw new OperationsTrimmed(`operation ${first} of client ${client} was trimmed`);
    }
    const entries = await this.#planner.entriesOf(listing, this.user, client, { first, last });
    return { ...some, entries };
  }

  async #linesOf({ entries, covers, bytes }: Chunk): Promise<Uint8Array> {
    for (let left = bytes; left > TURN_BYTES; left -= TURN_BYTES) await turn();
    const all = await this.#entries.lines(this.user, entries);
    if (covers !== undefined) return Buffer.concat(all.map((line) => snapshotLine(line, covers)));
    const [only] = all;
    return all.length === 1 && only !== undefined ? only : Buffer.concat(all);
  }
}
