import type { StoredObject } from "../storage/driver.ts";
import { type ObjectName, parseMarker, parseName } from "./names.ts";
import { byName, isOverlap, type Run, Sequence } from "./sequence.ts";

/** The room that objects take. */
export interface Footprint {
  readonly objects: number;
  /** The size of their bodies together. */
  readonly bytes: number;
}

/**
 * The parsed object names of one user: which runs of which clients are stored, and the markers. An
 * erased user has no runs, whatever is still in storage.
 */
export class Listing {
  readonly clients = new Map<string, Sequence>();
  /** When the user was erased, in seconds of Unix time. */
  readonly erasedAt: number | undefined;
  /** How many objects of an erased user are still stored beside the tombstone. */
  readonly leftovers: number = 0;
  #signed: boolean;
  #unrecognized = 0;
  #runs = 0;
  #bytes = 0;

  /** @param objects all objects of one user, in byte order of their names */
  constructor(objects: Iterable<StoredObject>) {
    let tombstones = 0;
    let signed = 0;
    let erasedAt: number | undefined;
    for (const { name, size } of objects) {
      const parts = parseName(name);
      const marker = parts === undefined ? parseMarker(name) : undefined;
      if (parts !== undefined) this.#add(parts, copyOf(parts.md5), size);
      else if (marker?.kind === "signed") signed++;
      else if (marker?.kind === "erased") {
        tombstones++;
        // Of several tombstones the earliest counts, which is the first in byte order.
        erasedAt ??= marker.at;
      } else this.#unrecognized++;
    }
    this.#signed = signed > 0;
    this.erasedAt = erasedAt;
    if (erasedAt === undefined) return;
    this.leftovers = this.#runs + this.#unrecognized + signed + tombstones - 1;
    this.#unrecognized = 0;
    this.clients.clear();
    this.#runs = 0;
    this.#bytes = 0;
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
    const stored = this.clients.size + this.#unrecognized;
    return stored === 0 && !this.#signed && this.erasedAt === undefined;
  }

  /** How many runs are stored. */
  get runs(): number {
    return this.#runs;
  }

  /** The room that all stored runs take, without those that a segment supersedes. */
  get footprint(): Footprint {
    let [objects, bytes] = [this.#runs, this.#bytes];
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
    for (const piece of this.clients.get(name.client)?.within(name) ?? []) {
      const runs = isOverlap(piece) ? piece.runs : [piece];
      if (runs.some((run) => isSame(run, name))) return true;
    }
    return false;
  }

  /** Records that the user has sent a signed request. */
  markSigned(): void {
    this.#signed = true;
  }

  /** Adds an object that begins where the operations of its client end; false for any other. */
  extend(name: ObjectName, size: number): boolean {
    const sequence = this.clients.get(name.client);
    const follows = sequence === undefined ? name.first === 0 : sequence.endsBefore(name.first);
    if (follows) this.#add(name, name.md5, size);
    return follows;
  }

  /**
   * The listing after a compaction: without the superseded runs of a client, with the runs that they
   * were packed into. Returns a new listing, because readers may hold on to this one, or this one
   * where nothing changes.
   */
  compacted(client: string, superseded: readonly Run[], added: readonly Run[]): Listing {
    const sequence = this.clients.get(client);
    if (sequence === undefined) return this;
    const removed = new Set(superseded.map(keyOf));
    const kept = sequence.runs.filter((run) => !removed.has(keyOf(run)));
    const known = new Set(added.length > 0 ? kept.map(keyOf) : []);
    const unknown = added.filter((run) => !known.has(keyOf(run)));
    if (kept.length === sequence.runs.length && unknown.length === 0) return this;
    const compacted = new Sequence();
    for (const run of [...kept, ...unknown].sort(byName)) compacted.add(run);
    return this.#with(client, compacted);
  }

  /**
   * The listing with what another one, of the objects of one client, shows of that client. Returns a
   * new listing, as `compacted` does, or this one where nothing changes.
   */
  updated(client: string, other: Listing): Listing {
    const [known, found] = [this.clients.get(client), other.clients.get(client)];
    const keys = (sequence: Sequence | undefined) => sequence?.runs.map(keyOf).join();
    return keys(known) === keys(found) ? this : this.#with(client, found);
  }

  /** A listing in which a client has another sequence, or none. */
  #with(client: string, sequence: Sequence | undefined): Listing {
    const before = this.clients.get(client);
    const listing = new Listing([]);
    listing.#unrecognized = this.#unrecognized;
    listing.#signed = this.#signed;
    listing.#runs = this.#runs + runsOf(sequence) - runsOf(before);
    listing.#bytes = this.#bytes + storedBytes(sequence) - storedBytes(before);
    for (const [other, theirs] of this.clients) listing.clients.set(other, theirs);
    if (sequence === undefined) listing.clients.delete(client);
    else listing.clients.set(client, sequence);
    return listing;
  }

  #add({ client, first, last }: ObjectName, md5: string, size: number): void {
    let sequence = this.clients.get(client);
    if (sequence === undefined) {
      sequence = new Sequence();
      this.clients.set(client, sequence);
    }
    sequence.add({ first, last, md5, size });
    this.#runs++;
    this.#bytes += size;
  }
}

/** The holes in a listing as text, to compare; `undefined` where there are none. */
export function holesIn({ clients }: Listing): string | undefined {
  const all = [...clients].map(([client, { holes }]) => ({ client, holes }));
  const some = all.filter(({ holes }) => holes.length > 0);
  return some.length > 0 ? JSON.stringify(some) : undefined;
}

/** The listed objects and the appended ones, in byte order of their names. */
export function withAppended(
  objects: readonly StoredObject[],
  appended: readonly StoredObject[],
): Iterable<StoredObject> {
  if (appended.length === 0) return objects;
  const byName = new Map([...objects, ...appended].map((object) => [object.name, object]));
  return [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

function storedBytes(sequence: Sequence | undefined): number {
  return sequence?.runs.reduce((sum, { size }) => sum + size, 0) ?? 0;
}

function runsOf(sequence: Sequence | undefined): number {
  return sequence?.runs.length ?? 0;
}

function isSame(a: Omit<Run, "size">, b: Omit<Run, "size">): boolean {
  return a.first === b.first && a.last === b.last && a.md5 === b.md5;
}

function keyOf({ first, last, md5 }: Run): string {
  return `${first}-${last}.${md5}`;
}

/**
 * A copy that shares no memory: for a part of a name, engines keep the whole name in memory. Copying
 * by characters takes a fraction of the time that encoding and decoding takes.
 */
function copyOf(text: string): string {
  const codes = new Array<number>(text.length);
  for (let i = 0; i < text.length; i++) codes[i] = text.charCodeAt(i);
  return String.fromCharCode(...codes);
}
