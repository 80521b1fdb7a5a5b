import type { StoredObject } from "../storage/driver.ts";
import { type ObjectName, parseMarker, parseName } from "./names.ts";
import { byName, isOverlap, type Run, Sequence } from "./sequence.ts";

/**
 * The parsed object names of one user: which runs of which clients are stored, and the markers. A
 * user who is erased has no runs, whatever lies there still.
 */
export class Listing {
  readonly clients = new Map<string, Sequence>();
  /** True once a signed request of the user was let in: unsigned ones no longer are. */
  signed = false;
  /** When the user was erased, in seconds of Unix time. */
  readonly erasedAt: number | undefined;
  /** How many objects of a user who is erased are there beside the tombstone. */
  readonly leftovers: number = 0;
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
      if (parts !== undefined) this.#add(parts, size);
      else if (marker?.kind === "signed") signed++;
      else if (marker?.kind === "erased") {
        tombstones++;
        erasedAt = Math.min(marker.at, erasedAt ?? marker.at);
      } else this.#unrecognized++;
    }
    this.signed = signed > 0;
    this.erasedAt = erasedAt;
    if (erasedAt === undefined) return;
    this.leftovers = this.#runs + this.#unrecognized + signed + tombstones - 1;
    this.#unrecognized = 0;
    this.clients.clear();
    this.#runs = 0;
    this.#bytes = 0;
  }

  /** How many objects of the user have a name that means nothing to this version. */
  get unrecognized(): number {
    return this.#unrecognized;
  }

  /** How many runs it holds. */
  get runs(): number {
    return this.#runs;
  }

  /** The size of all runs, as they are stored, but for those that another holds whole. */
  get bytes(): number {
    let twice = 0;
    for (const sequence of this.clients.values()) {
      for (const { first, last, runs } of sequence.overlaps()) {
        // What was packed into one of them is there only until it is deleted.
        const whole = runs.find((run) => run.first === first && run.last === last);
        if (whole === undefined || first === last) continue;
        twice += runs.reduce((sum, { size }) => sum + size, -whole.size);
      }
    }
    return this.#bytes - twice;
  }

  /** True when this very object is listed. */
  has(name: ObjectName): boolean {
    for (const piece of this.clients.get(name.client)?.within(name) ?? []) {
      const runs = isOverlap(piece) ? piece.runs : [piece];
      if (runs.some((run) => isSame(run, name))) return true;
    }
    return false;
  }

  /** Adds an object if it goes on right where its client's gapless operations end; else is false. */
  extend(name: ObjectName, size: number): boolean {
    const sequence = this.clients.get(name.client);
    const goesOn = sequence === undefined ? name.first === 0 : sequence.endsBefore(name.first);
    if (goesOn) this.#add(name, size);
    return goesOn;
  }

  /**
   * This listing after a compaction: without the runs of a client that are gone, with those that
   * they were packed into. A new one, because readers may hold on to this; this one where nothing
   * changes.
   */
  repacked(client: string, gone: readonly Run[], added: readonly Run[]): Listing {
    const sequence = this.clients.get(client);
    if (sequence === undefined) return this;
    const leaving = new Set(gone.map(keyOf));
    const kept = sequence.runs.filter((run) => !leaving.has(keyOf(run)));
    const known = new Set(added.length > 0 ? kept.map(keyOf) : []);
    const coming = added.filter((run) => !known.has(keyOf(run)));
    if (kept.length === sequence.runs.length && coming.length === 0) return this;
    const repacked = new Sequence();
    for (const run of [...kept, ...coming].sort(byName)) repacked.add(run);
    const listing = new Listing([]);
    listing.#unrecognized = this.#unrecognized;
    listing.signed = this.signed;
    listing.#runs = this.#runs - sequence.runs.length + repacked.runs.length;
    listing.#bytes = this.#bytes - sizeOf(sequence) + sizeOf(repacked);
    for (const [other, theirs] of this.clients) listing.clients.set(other, theirs);
    listing.clients.set(client, repacked);
    return listing;
  }

  #add({ client, first, last, md5 }: ObjectName, size: number): void {
    let sequence = this.clients.get(client);
    if (sequence === undefined) {
      sequence = new Sequence();
      this.clients.set(client, sequence);
    }
    sequence.add({ first, last, md5: copyOf(md5), size });
    this.#runs++;
    this.#bytes += size;
  }
}

function sizeOf({ runs }: Sequence): number {
  return runs.reduce((sum, { size }) => sum + size, 0);
}

function isSame(a: Omit<Run, "size">, b: Omit<Run, "size">): boolean {
  return a.first === b.first && a.last === b.last && a.md5 === b.md5;
}

function keyOf({ first, last, md5 }: Run): string {
  return `${first}-${last}.${md5}`;
}

const codes: number[] = [];

/**
 * A text of its own: engines keep the whole name in memory for a part that was cut out of it. By
 * its characters, which takes a fraction of the time that bytes and back take.
 */
function copyOf(text: string): string {
  codes.length = text.length;
  for (let i = 0; i < text.length; i++) codes[i] = text.charCodeAt(i);
  return String.fromCharCode(...codes);
}
