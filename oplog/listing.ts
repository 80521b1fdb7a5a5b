import type { StoredObject } from "../storage/driver.ts";
import { Slices } from "../storage/slices.ts";
import { type ListedSnapshot, ListedSnapshots } from "./listed-snapshots.ts";
import { type FloorName, type ObjectName, parseMarker, parseName } from "./names.ts";
import {
  copyOf,
  difference,
  isSameSequence,
  runOf,
  runsOf,
  sequenceOf,
  storedBytes,
  trimmedTo,
} from "./runs.ts";
import { byName, isOverlap, type Run, Sequence } from "./sequence.ts";

/** The room that objects take. */
export interface Footprint {
  readonly objects: number;
  /** The size of their bodies together. */
  readonly bytes: number;
}

/**
 * The parsed object names of one user: which runs of which clients are stored, the snapshots, the floors, and
 * the markers. An erased user has no runs, whatever is still in storage.
 */
export class Listing {
  readonly clients = new Map<string, Sequence>();
  #signed = false;
  #erasedAt: number | undefined;
  /** Of objects that are no operations: the locks and the tombstones together. */
  #markers = 0;
  #unrecognized = 0;
  #runs = 0;
  #bytes = 0;
  #leftovers = 0;
  #snapshots = new ListedSnapshots();
  #isTrimmed = false;

  /** @param objects all objects of one user, in byte order of their names */
  constructor(objects: Iterable<StoredObject>) {
    for (const object of objects) this.#take(object);
    this.#end();
  }

  /** As the constructor, and other requests are answered meanwhile. */
  static async inSlices(objects: Iterable<StoredObject>): Promise<Listing> {
    const slices = new Slices();
    const listing = new Listing([]);
    for (const object of objects) {
      listing.#take(object);
      const pause = slices.next();
      if (pause !== undefined) await pause;
    }
    listing.#end();
    return listing;
  }

  /** When the user was erased, in seconds of Unix time. */
  get erasedAt(): number | undefined {
    return this.#erasedAt;
  }

  /** How many objects of an erased user are still stored beside the tombstone. */
  get leftovers(): number {
    return this.#leftovers;
  }

  /** True once a signed request of the user was accepted: from then on, unsigned ones are refused. */
  get signed(): boolean {
    return this.#signed;
  }

  /** How many objects have a name that this version does not know. */
  get unrecognized(): number {
    return this.#unrecognized;
  }

  /** True where nothing is stored of the user: no operations, no lock, no tombstone. */
  get isEmpty(): boolean {
    const stored = this.clients.size + this.#unrecognized + this.#snapshots.count;
    return stored === 0 && !this.#signed && this.erasedAt === undefined;
  }

  /** How many runs and snapshots are stored. */
  get runs(): number {
    return this.#runs + this.snapshots.length;
  }

  /** In the order in which they were stored. */
  get snapshots(): readonly ListedSnapshot[] {
    return this.#snapshots.snapshots;
  }

  /** A client may have several, of which the highest counts. */
  get floors(): readonly FloorName[] {
    return this.#snapshots.floors;
  }

  /** Whether a reader lacks operations that were trimmed: it needs a snapshot. */
  isBeyond(versionVector: ReadonlyMap<string, number>): boolean {
    if (!this.#isTrimmed) return false;
    for (const [client, { base }] of this.clients) {
      if (base > (versionVector.get(client) ?? -1) + 1) return true;
    }
    return false;
  }

  /** The room that all stored runs and snapshots take, without what is superseded or trimmed. */
  get footprint(): Footprint {
    let [objects, bytes] = [this.runs, this.#bytes + this.#snapshots.bytes];
    for (const sequence of this.clients.values()) {
      for (const { first, last, runs } of sequence.overlaps()) {
        // The runs that were packed into this one are about to be deleted.
        const whole = runs.find((run) => run.first === first && run.last === last);
        if (whole === undefined || first === last) continue;
        objects -= runs.length - 1;
        bytes -= runs.reduce((sum, { size }) => sum + size, -whole.size);
      }
    }
    return { objects, bytes };
  }

  /** True when this object is listed. */
  has(name: ObjectName): boolean {
    const sequence = this.clients.get(name.client);
    if (sequence === undefined || sequence.end < name.first) return false;
    for (const piece of sequence.within(name)) {
      const runs = isOverlap(piece) ? piece.runs : [piece];
      if (runs.some((run) => byName(run, name) === 0)) return true;
    }
    return false;
  }

  /** Records that the user has sent a signed request. Returns this listing. */
  markedSigned(): Listing {
    this.#signed = true;
    if (this.#erasedAt !== undefined) this.#leftovers++;
    return this;
  }

  /** Records a snapshot. Returns this listing. */
  markedSnapshot(snapshot: ListedSnapshot): Listing {
    this.#snapshots = this.#snapshots.with(snapshot);
    if (this.#erasedAt !== undefined) this.#leftovers++;
    return this;
  }

  /** Adds an object that begins where the operations of its client end; false for any other. */
  extend(name: ObjectName, size: number): boolean {
    const sequence = this.clients.get(name.client);
    const follows = sequence === undefined ? name.first === 0 : sequence.endsBefore(name.first);
    if (follows) this.#add(name.client, runOf(name, size));
    return follows;
  }

  /**
   * The listing with an object that this process has stored, wherever it belongs. Returns this one
   * where the object is listed, or continues its client; a new one otherwise, as `compacted` does.
   */
  appended(name: ObjectName, size: number): Listing {
    if (this.#erasedAt !== undefined) this.#leftovers++;
    else if (!this.has(name) && !this.extend(name, size)) {
      const before = this.clients.get(name.client);
      const runs = [...(before?.runs ?? []), runOf(name, size)].sort(byName);
      return this.#with(name.client, sequenceOf(runs, before));
    }
    return this;
  }

  /**
   * The listing after a compaction: without the superseded runs of a client, with the runs that they
   * were packed into. Returns a new listing, because readers may hold on to this one, or this one
   * where nothing changes.
   */
  compacted(client: string, superseded: readonly Run[], added: readonly Run[]): Listing {
    const sequence = this.clients.get(client);
    if (sequence === undefined) return this;
    const kept = difference(sequence.runs, superseded);
    const unknown = difference(added.toSorted(byName), kept);
    if (kept.length === sequence.runs.length && unknown.length === 0) return this;
    return this.#with(client, sequenceOf([...kept, ...unknown].sort(byName), sequence));
  }

  /** The listing without runs, by client. Returns a new listing, as `compacted` does. */
  without(runs: ReadonlyMap<string, readonly Run[]>): Listing {
    const changes = new Map<string, Sequence>();
    for (const [client, some] of runs) {
      const sequence = this.clients.get(client);
      if (sequence === undefined) continue;
      const kept = difference(sequence.runs, some);
      if (kept.length < sequence.runs.length) changes.set(client, sequenceOf(kept, sequence));
    }
    return changes.size === 0 ? this : this.#withAll(changes);
  }

  /**
   * The listing with what another one, of the objects of one client, shows of that client. Returns a
   * new listing, as `compacted` does, or this one where nothing changes.
   */
  updated(client: string, other: Listing): Listing {
    const [known, found] = [this.clients.get(client), other.clients.get(client)];
    return isSameSequence(known, found) ? this : this.#with(client, found);
  }

  /** True where this shows what another listing of the user does not: operations, or a marker. */
  showsMoreThan(other: Listing): boolean {
    if (this.#signed !== other.signed || this.#erasedAt !== other.erasedAt) return true;
    for (const [client, { end, next }] of this.clients) {
      const known = other.clients.get(client);
      // What fills a hole changes the next index alone.
      if (known === undefined || end > known.end || next > known.next) return true;
    }
    return false;
  }

  #with(client: string, sequence: Sequence | undefined): Listing {
    return this.#withAll(new Map([[client, sequence]]));
  }

  /** A listing in which some clients have another sequence, or none. */
  #withAll(changes: ReadonlyMap<string, Sequence | undefined>): Listing {
    const listing = new Listing([]);
    listing.#unrecognized = this.#unrecognized;
    listing.#signed = this.#signed;
    listing.#runs = this.#runs;
    listing.#bytes = this.#bytes;
    listing.#snapshots = this.#snapshots;
    listing.#isTrimmed = this.#isTrimmed;
    for (const [client, sequence] of this.clients) listing.clients.set(client, sequence);
    for (const [client, sequence] of changes) {
      const before = this.clients.get(client);
      listing.#runs += runsOf(sequence) - runsOf(before);
      listing.#bytes += storedBytes(sequence) - storedBytes(before);
      if (sequence === undefined) listing.clients.delete(client);
      else listing.clients.set(client, sequence);
      if (sequence !== undefined && sequence.base > 0) listing.#isTrimmed = true;
    }
    return listing;
  }

  #take({ name, size }: StoredObject): void {
    const parts = parseName(name);
    if (parts !== undefined) {
      this.#add(parts.client, runOf(parts, size, copyOf));
      return;
    }
    const marker = parseMarker(name);
    if (marker === undefined) {
      if (!this.#snapshots.take({ name, size })) this.#unrecognized++;
      return;
    }
    this.#markers++;
    if (marker.kind === "signed") this.#signed = true;
    // Of several tombstones the earliest counts, which is the first in byte order.
    else this.#erasedAt ??= marker.at;
  }

  /** To be called once all objects are taken: what was trimmed does not count, and an erased user has nothing. */
  #end(): void {
    if (this.#erasedAt === undefined) {
      for (const { client, index } of this.floors) this.#trim(client, index + 1);
      return;
    }
    const others = this.#unrecognized + this.#snapshots.count;
    this.#leftovers = this.#runs + others + this.#markers - 1;
    this.#unrecognized = 0;
    this.#snapshots = new ListedSnapshots();
    this.clients.clear();
    this.#runs = 0;
    this.#bytes = 0;
  }

  #trim(client: string, base: number): void {
    const sequence = this.clients.get(client);
    if (sequence !== undefined && sequence.base >= base) return;
    const trimmed = trimmedTo(base, sequence);
    for (const run of sequence?.trimmed ?? []) trimmed.add(run);
    this.#isTrimmed = true;
    this.#runs += runsOf(trimmed) - runsOf(sequence);
    this.#bytes += storedBytes(trimmed) - storedBytes(sequence);
    this.clients.set(client, trimmed);
  }

  #add(client: string, run: Run): void {
    let sequence = this.clients.get(client);
    if (sequence === undefined) {
      sequence = new Sequence();
      this.clients.set(client, sequence);
    }
    sequence.add(run);
    this.#runs++;
    this.#bytes += run.size;
  }
}
