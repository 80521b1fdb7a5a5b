import type { StoredObject } from "./driver.ts";
import { type ObjectName, parseName } from "./names.ts";

/** Operation indexes `first` to `last`, both among them. */
export interface Span {
  readonly first: number;
  readonly last: number;
}

/** One stored object of a client: the operations it holds, its hash, and its size in bytes. */
export interface Run extends Span {
  readonly md5: string;
  readonly size: number;
}

/**
 * What is stored of one client. It only ever grows at its end, so that a reader may hold on to it
 * while operations are appended; anything else makes a new listing.
 */
export class Sequence {
  /** By index; runs under one index by hash. */
  readonly runs: Run[] = [];
  /** The gapless stretches, in order: one, unless something is missing from storage. */
  readonly #stretches: { first: number; last: number }[] = [];
  /** The last index of every run that carries a further payload for it, in order: a fork. */
  readonly #forks: number[] = [];

  /** The index of the next operation: the first that is not stored. */
  get next(): number {
    const start = this.#stretches[0];
    return start === undefined || start.first > 0 ? 0 : start.last + 1;
  }

  /** True when all before `index` is stored, and nothing from there on. */
  endsBefore(index: number): boolean {
    return this.#stretches.length === 1 && this.next === index;
  }

  /** The indexes that are missing before the last one. None, unless storage was damaged. */
  get holes(): Span[] {
    let expected = 0;
    const holes: Span[] = [];
    for (const { first, last } of this.#stretches) {
      if (first > expected) holes.push({ first: expected, last: first - 1 });
      expected = last + 1;
    }
    return holes;
  }

  /** How many further payloads lie under an index that has one already. */
  get forks(): number {
    return this.#forks.length;
  }

  /** Adds the run that comes next in byte order of names. */
  add(run: Run): void {
    this.runs.push(run);
    const stretch = this.#stretches.at(-1);
    if (stretch === undefined || run.first > stretch.last + 1) {
      this.#stretches.push({ first: run.first, last: run.last });
    } else if (run.first === stretch.last + 1) {
      stretch.last = run.last;
    } else {
      this.#forks.push(run.last);
    }
  }

  /** The gapless span that begins right above `index`; `undefined` where nothing is stored there. */
  above(index: number): Span | undefined {
    const first = index + 1;
    const stretch = this.#stretches.find((stretch) => stretch.last >= first);
    return stretch === undefined || stretch.first > first
      ? undefined
      : { first, last: stretch.last };
  }

  /** How many operations lie in a span that is stored without holes, forked ones included. */
  count(span: Span): number {
    const forks = this.#forks.filter((index) => index >= span.first && index <= span.last);
    return span.last - span.first + 1 + forks.length;
  }

  /** The runs that hold operations of a span, in order. */
  *within(span: Span): Generator<Run> {
    for (let i = this.#position(span.first); i < this.runs.length; i++) {
      const run = this.runs[i];
      if (run === undefined || run.first > span.last) return;
      yield run;
    }
  }

  /** Where the first run lies that reaches up to `index` (binary search). */
  #position(index: number): number {
    let low = 0;
    let high = this.runs.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const run = this.runs[middle];
      if (run !== undefined && run.last < index) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** The parsed object names of one user: which runs of which clients are stored. */
export class Listing {
  readonly clients = new Map<string, Sequence>();
  /** How many objects of the user have a name that means nothing to this version. */
  readonly foreign: number;
  #runs = 0;

  /** @param objects all objects of one user, in byte order of their names */
  constructor(objects: Iterable<StoredObject>) {
    let foreign = 0;
    for (const { name, size } of objects) {
      const parts = parseName(name);
      if (parts === undefined) foreign++;
      else this.#add(parts, size);
    }
    this.foreign = foreign;
  }

  /** How many runs it holds. */
  get runs(): number {
    return this.#runs;
  }

  /** True when this very object is listed. */
  has(name: ObjectName): boolean {
    const held = this.clients.get(name.client)?.within(name) ?? [];
    for (const { first, last, md5 } of held) {
      if (first === name.first && last === name.last && md5 === name.md5) return true;
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

  #add({ client, first, last, md5 }: ObjectName, size: number): void {
    let sequence = this.clients.get(client);
    if (sequence === undefined) {
      sequence = new Sequence();
      this.clients.set(client, sequence);
    }
    sequence.add({ first, last, md5: copyOf(md5), size });
    this.#runs++;
  }
}

/** A text of its own: engines keep the whole name in memory for a part that was cut out of it. */
function copyOf(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}
