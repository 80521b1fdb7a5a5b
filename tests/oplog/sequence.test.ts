import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Listing } from "../../oplog/listing.ts";
import { type Fingerprint, formatName } from "../../oplog/names.ts";
import { byName, isOverlap, type Overlap, type Run, Sequence } from "../../oplog/sequence.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const user = someFingerprint();
const client = newClient();

const md5 = fc.constantFrom("0", "7", "a", "f").map((digit) => digit.repeat(32));
const run: fc.Arbitrary<Run> = fc
  .record({
    first: fc.nat(30),
    length: fc.constantFrom(1, 1, 1, 2, 3, 8),
    md5,
    crc32: fc.constantFrom(undefined, "00000000", "ffffffff"),
    size: fc.nat(1000),
  })
  .map(({ first, length, md5, crc32, size }) => {
    const of = length > 1 && crc32 !== undefined ? { md5, crc32 } : { md5 };
    return { first, last: first + length - 1, ...of, size };
  });

/** Runs as storage may list them: any may overlap, and no name is there twice. */
const runs = fc
  .uniqueArray(run, { selector: nameOf, maxLength: 30 })
  .map((some) => some.toSorted(byName));

function nameOf(run: Run): string {
  return formatName({ user, client, ...run });
}

function sequenceOf(some: readonly Run[]): Sequence {
  const sequence = new Sequence();
  for (const run of some) sequence.add(run);
  return sequence;
}

/** What a sequence should return, calculated index by index. */
class Model {
  readonly runs: readonly Run[];
  readonly end: number;

  constructor(runs: readonly Run[]) {
    this.runs = runs;
    this.end = Math.max(-1, ...runs.map(({ last }) => last));
  }

  holds(index: number): boolean {
    return this.runs.some(({ first, last }) => first <= index && index <= last);
  }

  get next(): number {
    let index = 0;
    while (this.holds(index)) index++;
    return index;
  }

  get holes(): { first: number; last: number }[] {
    const holes: { first: number; last: number }[] = [];
    for (let index = 0; index <= this.end; index++) {
      if (this.holds(index)) continue;
      const hole = holes.at(-1);
      if (hole?.last === index - 1) hole.last = index;
      else holes.push({ first: index, last: index });
    }
    return holes;
  }

  above(index: number): { first: number; last: number } | undefined {
    let last = index;
    while (this.holds(last + 1)) last++;
    return last === index ? undefined : { first: index + 1, last };
  }

  /** Runs that share an index, directly or through others, belong together. */
  get pieces(): Run[][] {
    const pieces: Run[][] = [];
    for (const run of this.runs) {
      const end = Math.max(-1, ...(pieces.at(-1) ?? []).map(({ last }) => last));
      if (run.first <= end) pieces.at(-1)?.push(run);
      else pieces.push([run]);
    }
    return pieces;
  }

  within({ first, last }: { first: number; last: number }): Run[][] {
    return this.pieces.filter((piece) => {
      const [begin, end] = [piece[0]?.first ?? 0, Math.max(...piece.map((run) => run.last))];
      return end >= first && begin <= last;
    });
  }
}

function runsOf(piece: Run | Overlap): readonly Run[] {
  return isOverlap(piece) ? piece.runs : [piece];
}

describe("a sequence", () => {
  it("has its runs in the byte order of their names", () => {
    fc.assert(
      fc.property(run, run, (a, b) => {
        const expected = Buffer.compare(Buffer.from(nameOf(a)), Buffer.from(nameOf(b)));
        assert.equal(Math.sign(byName(a, b)), expected);
      }),
      { numRuns: 1000 },
    );
  });

  it("has the next index, the holes and the gapless spans that a check of every index finds", () => {
    fc.assert(
      fc.property(runs, (some) => {
        const [sequence, model] = [sequenceOf(some), new Model(some)];
        assert.deepEqual(sequence.runs, some);
        assert.equal(sequence.next, model.next);
        assert.deepEqual(sequence.holes, model.holes);
        for (let index = -1; index <= model.end + 2; index++) {
          assert.deepEqual(sequence.above(index), model.above(index));
          // An empty sequence has no end.
          const ends = some.length > 0 && model.holes.length === 0 && model.end + 1 === index;
          assert.equal(sequence.endsBefore(index), ends);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("returns what holds a span: lone runs, and all runs that overlap together", () => {
    fc.assert(
      fc.property(runs, fc.nat(40), fc.nat(10), (some, first, length) => {
        const [sequence, model] = [sequenceOf(some), new Model(some)];
        for (const span of [
          { first, last: first + length },
          { first: 0, last: Number.MAX_SAFE_INTEGER },
        ]) {
          const pieces = [...sequence.within(span)];
          const expected = model.within(span);
          assert.deepEqual(pieces.map(runsOf), expected);
          const overlaps = expected.filter((piece) => piece.length > 1);
          assert.deepEqual(
            sequence.overlaps(span),
            overlaps.map((runs) => ({
              first: runs[0]?.first,
              last: Math.max(...runs.map(({ last }) => last)),
              runs,
            })),
          );
          for (const piece of pieces) assert.equal(isOverlap(piece), runsOf(piece).length > 1);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("handles 2,000 single operations that overlap one segment", () => {
    const count = 2000;
    const segment = { first: 0, last: count - 1, md5: "0".repeat(32), size: 1 };
    const singles = Array.from({ length: count }, (_, i) => ({
      first: i,
      last: i,
      md5: "f".repeat(32),
      size: 1,
    }));
    const next = { first: count, last: count, md5: "a".repeat(32), size: 1 };
    const sequence = sequenceOf([segment, ...singles, next].toSorted(byName));
    assert.equal(sequence.next, count + 1);
    assert.deepEqual(sequence.holes, []);
    const [overlap, ...others] = sequence.overlaps();
    assert.deepEqual(others, []);
    assert.equal(overlap?.runs.length, count + 1);
    // From every index on it is the same overlap, and then the lone run after it.
    for (let index = 0; index < count; index++) {
      const pieces = [...sequence.within({ first: index, last: count })];
      assert.ok(pieces.length === 2 && pieces[0] === overlap && pieces[1] === next);
    }
  });
});

describe("a listing after a compaction", () => {
  it("equals a listing of the objects that are stored now, and leaves the earlier one unchanged", () => {
    const others = newClient();
    fc.assert(
      fc.property(
        runs,
        fc.array(fc.boolean(), { maxLength: 30 }),
        fc.uniqueArray(run, { selector: nameOf, maxLength: 3 }),
        (some, goes, added) => {
          const listing = listingOf(user, [
            [client, some],
            [others, some],
          ]);
          const before = factsOf(listing);
          const gone = some.filter((_, i) => goes[i] === true);
          const kept = some.filter((run) => !gone.includes(run));
          const known = new Set(kept.map(nameOf));
          // A client that is not listed has nothing to pack.
          const coming = some.length === 0 ? [] : added.filter((run) => !known.has(nameOf(run)));
          const left = [...kept, ...coming];
          const compacted = listing.compacted(client, gone, added);
          const afresh = listingOf(user, [
            [client, left.toSorted(byName)],
            [others, some],
          ]);
          assert.deepEqual(factsOf(compacted), factsOf(afresh));
          assert.deepEqual(factsOf(listing), before);
        },
      ),
      { numRuns: 500 },
    );
  });
});

function listingOf(user: Fingerprint, clients: [string, readonly Run[]][]): Listing {
  const objects = clients.flatMap(([client, runs]) =>
    runs.map(({ size, ...run }) => ({ name: formatName({ user, client, ...run }), size })),
  );
  return new Listing(objects.toSorted((a, b) => (a.name < b.name ? -1 : 1)));
}

/** All that a listing shows, without clients that have no runs. */
function factsOf(listing: Listing): unknown {
  const clients = [...listing.clients]
    .filter(([, { runs }]) => runs.length > 0)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([client, sequence]) => {
      const { runs, next, holes } = sequence;
      return { client, runs: [...runs], next, holes, overlaps: sequence.overlaps() };
    });
  return { clients, runs: listing.runs, foreign: listing.unrecognized };
}
