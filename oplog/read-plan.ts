/** Plans what a reader is sent: what it is not aware of, with or without a snapshot. */
import { Slices } from "../storage/slices.ts";
import type { Covers } from "./batch.ts";
import { bytesIn, type Entry, type EntryReader, linesIn } from "./entries.ts";
import type { ListedSnapshot } from "./listed-snapshots.ts";
import type { Listing } from "./listing.ts";
import type { Fingerprint } from "./names.ts";
import type { Span } from "./sequence.ts";
import {
  awareAfter,
  bytesOf,
  encodeCovers,
  isUsable,
  NoUsableSnapshot,
  SnapshotRequired,
  type Snapshots,
} from "./snapshots.ts";

/** Operations of one client that are to be sent. */
export interface Wanted extends Span {
  readonly client: string;
  /** What holds them, by the listing that was planned with. */
  readonly entries: Iterable<Entry>;
}

/** The operation of a snapshot, which is sent first. */
export interface WantedSnapshot extends Wanted {
  readonly covers: Covers;
}

export interface ReadPlan {
  readonly snapshot: WantedSnapshot | undefined;
  /** In the order in which it is sent. */
  readonly wanted: readonly Wanted[];
  /** How many lines all of it has, and how many bytes, roughly. */
  readonly count: number;
  readonly bytes: number;
}

export interface PlannedReader {
  readonly user: Fingerprint;
  readonly versionVector: ReadonlyMap<string, number>;
  readonly takesSnapshots: boolean;
}

/** A snapshot is sent where it spares the reader this part of the answer, or it has to be. */
const SPARED = 1 / 2;

/** An operation counts as this many bytes more, as it does for the rate limit. */
const BYTES_PER_OPERATION = 1024;

export class ReadPlanner {
  readonly #entries: EntryReader;
  readonly #snapshots: Snapshots;

  constructor(entries: EntryReader, snapshots: Snapshots) {
    this.#entries = entries;
    this.#snapshots = snapshots;
  }

  /**
   * What a reader is to be sent by a listing. Throws `SnapshotRequired`, and what reading the marker of a
   * snapshot or an overlap throws.
   */
  async plan(listing: Listing, reader: PlannedReader): Promise<ReadPlan> {
    const { versionVector, takesSnapshots } = reader;
    const needsSnapshot = listing.isBeyond(versionVector);
    if (needsSnapshot && !takesSnapshots) throw new SnapshotRequired();
    const plain = needsSnapshot ? undefined : await this.#above(listing, reader, versionVector);
    if (plain !== undefined && (!takesSnapshots || listing.snapshots.length === 0)) return plain;
    const most = plain === undefined ? Number.POSITIVE_INFINITY : costOf(plain) * SPARED;
    const found = await this.#newest(listing, most);
    if (found === undefined) return plain ?? throwUnusable();
    const { snapshot, covers } = found;
    const rest = await this.#above(listing, reader, awareAfter(versionVector, snapshot, covers));
    const wanted = await this.#snapshot(listing, reader.user, snapshot, covers);
    const entries = [...wanted.entries];
    const shorter = {
      snapshot: wanted,
      wanted: rest.wanted,
      count: rest.count + sumOf(entries, linesIn),
      bytes: rest.bytes + sumOf(entries, bytesIn) + encodeCovers(covers).byteLength,
    };
    return plain === undefined || costOf(shorter) <= most ? shorter : plain;
  }

  /** The operations above a version vector. */
  async #above(
    listing: Listing,
    { user }: PlannedReader,
    versionVector: ReadonlyMap<string, number>,
  ): Promise<ReadPlan> {
    const slices = new Slices();
    const wanted: Wanted[] = [];
    let count = 0;
    let bytes = 0;
    for (const [client, sequence] of listing.clients) {
      const span = sequence.above(versionVector.get(client) ?? -1);
      if (span === undefined) continue;
      const found = this.#entries.entriesOf(user, client, sequence, span);
      const entries = found instanceof Promise ? await found : found;
      wanted.push({ client, ...span, entries });
      for (const entry of entries) {
        count += linesIn(entry);
        bytes += bytesIn(entry);
        const pause = slices.next();
        if (pause !== undefined) await pause;
      }
    }
    return { snapshot: undefined, wanted, count, bytes };
  }

  /**
   * The newest snapshot that a reader can go on from.
   *
   * @param most what it may cost: one that costs more spares the reader too little
   */
  async #newest(
    listing: Listing,
    most: number,
  ): Promise<{ readonly snapshot: ListedSnapshot; readonly covers: Covers } | undefined> {
    for (const snapshot of listing.snapshots.toReversed()) {
      const bytes = bytesOf(listing, snapshot);
      if (bytes === undefined) continue;
      if (bytes + BYTES_PER_OPERATION > most) return undefined;
      const covers = await this.#snapshots.coversOf(snapshot);
      if (isUsable(listing, snapshot, covers)) return { snapshot, covers };
    }
    return undefined;
  }

  async #snapshot(
    listing: Listing,
    user: Fingerprint,
    { client, index }: ListedSnapshot,
    covers: Covers,
  ): Promise<WantedSnapshot> {
    const span = { first: index, last: index };
    return { client, ...span, covers, entries: await this.entriesOf(listing, user, client, span) };
  }

  /** What holds a span of a client by a listing. */
  async entriesOf(
    listing: Listing,
    user: Fingerprint,
    client: string,
    span: Span,
  ): Promise<Iterable<Entry>> {
    const sequence = listing.clients.get(client);
    return sequence === undefined ? [] : this.#entries.entriesOf(user, client, sequence, span);
  }
}

function throwUnusable(): never {
  throw new NoUsableSnapshot();
}

function costOf({ count, bytes }: ReadPlan): number {
  return bytes + count * BYTES_PER_OPERATION;
}

function sumOf(entries: readonly Entry[], number: (entry: Entry) => number): number {
  return entries.reduce((sum, entry) => sum + number(entry), 0);
}
