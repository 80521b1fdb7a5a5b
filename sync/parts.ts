import type { Fingerprint } from "../storage/names.ts";
import { md5Of, type Objects } from "../storage/objects.ts";
import {
  isOverlap,
  type Overlap,
  type Run,
  type Sequence,
  type Span,
} from "../storage/sequence.ts";
import { operationLine } from "./protocol.ts";
import { Segment } from "./segment.ts";

/** Consecutive operations out of one stored object. */
export interface Part extends Span {
  readonly run: Run;
}

/**
 * What is read and sent as a whole: a part of one object or, for an index that is forked, the
 * operation out of each object that has another payload for it.
 */
export interface Entry extends Span {
  readonly parts: readonly Part[];
}

const encoder = new TextEncoder();
// A payload may begin with U+FEFF, which is not a byte order mark then.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads operations out of the objects that hold them, and sorts out objects that overlap. */
export class Parts {
  readonly #objects: Objects;
  readonly #sorted = new WeakMap<Overlap, readonly Entry[]>();

  constructor(objects: Objects) {
    this.#objects = objects;
  }

  /** The line of every operation of a part. Throws as `Objects.get` does. */
  async lines(user: Fingerprint, client: string, { run, first, last }: Part): Promise<Uint8Array> {
    const name = { user, client, ...run };
    const body = await this.#objects.get(name);
    if (run.first === run.last) {
      return encoder.encode(operationLine(client, run.first, decoder.decode(body)));
    }
    // A whole segment goes as it is: its MD5 has vouched for it.
    if (first === run.first && last === run.last) return body;
    return new Segment(name, body).lines(first, last);
  }

  /** A segment, to look into. */
  async segment(user: Fingerprint, client: string, run: Run): Promise<Segment> {
    const name = { user, client, ...run };
    return new Segment(name, await this.#objects.get(name));
  }

  /**
   * Finds out what overlapping runs hold, so that `entries` knows. Reads from storage only where
   * a segment is among them: the names of objects do not tell what is in a segment.
   */
  async sort(user: Fingerprint, client: string, overlaps: readonly Overlap[]): Promise<void> {
    for (const overlap of overlaps) {
      if (this.#sorted.has(overlap)) continue;
      this.#sorted.set(overlap, await this.#sort(user, client, overlap));
    }
  }

  /** The entries of a sequence that hold a span, in order and cut to it. All overlaps are sorted. */
  *entries(sequence: Sequence, span: Span): Generator<Entry, void, void> {
    for (const piece of sequence.within(span)) {
      if (!isOverlap(piece)) yield cut(entryOf(piece.first, piece.last, [piece]), span);
      else {
        for (const entry of this.sorted(piece)) {
          if (entry.last >= span.first && entry.first <= span.last) yield cut(entry, span);
        }
      }
    }
  }

  /** What overlapping runs hold: each payload once; under one index in the order of their hashes. */
  sorted(overlap: Overlap): readonly Entry[] {
    const entries = this.#sorted.get(overlap);
    if (entries === undefined) throw new TypeError("the overlap was not sorted before");
    return entries;
  }

  async #sort(user: Fingerprint, client: string, overlap: Overlap): Promise<Entry[]> {
    /** For each index, the run that holds each payload, by the payload's MD5. */
    const held = Array.from(
      { length: overlap.last - overlap.first + 1 },
      () => new Map<string, Run>(),
    );
    for (const run of overlap.runs) {
      const segment = run.first === run.last ? undefined : await this.segment(user, client, run);
      for (let index = run.first; index <= run.last; index++) {
        const md5 = segment === undefined ? run.md5 : md5Of(encoder.encode(segment.payload(index)));
        const holders = held[index - overlap.first];
        const other = holders?.get(md5);
        // Of those that hold the same payload, the one that reaches furthest.
        if (other === undefined || other.last < run.last) holders?.set(md5, run);
      }
    }
    const entries: Entry[] = [];
    held.forEach((holders, i) => {
      const index = overlap.first + i;
      const runs = [...holders].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, run]) => run);
      const before = entries.at(-1)?.parts;
      const [run] = runs;
      if (
        run !== undefined &&
        runs.length === 1 &&
        before?.length === 1 &&
        before[0]?.run === run
      ) {
        const { first } = before[0];
        entries[entries.length - 1] = entryOf(first, index, [run]);
      } else entries.push(entryOf(index, index, runs));
    });
    return entries;
  }
}

/** How many lines an entry comes to. */
export function linesIn({ first, last, parts }: Entry): number {
  return (last - first + 1) * parts.length;
}

/** The entry of operations that lie in one run, or in one index of several. */
export function entryOf(first: number, last: number, runs: readonly Run[]): Entry {
  return { first, last, parts: runs.map((run) => ({ run, first, last })) };
}

function cut(entry: Entry, span: Span): Entry {
  const first = Math.max(entry.first, span.first);
  const last = Math.min(entry.last, span.last);
  return { first, last, parts: entry.parts.map(({ run }) => ({ run, first, last })) };
}
