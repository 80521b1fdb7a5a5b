import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  FEWEST_OPERATIONS,
  fewestOperations,
  type PackingLimits,
  planSegments,
} from "../../oplog/compaction/planner.ts";
import { Listing } from "../../oplog/listing.ts";
import { formatName } from "../../oplog/names.ts";
import { byName, isOverlap, lengthOf, type Run, Sequence } from "../../oplog/sequence.ts";
import { share } from "../support/share.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const LINE_OVERHEAD = 100;

const limits: fc.Arbitrary<PackingLimits> = fc.record({
  operations: fc.integer({ min: 2, max: 20 }),
  bytes: fc.integer({ min: 300, max: 5000 }),
  objects: fc.constant(1000),
});

/** Runs of all kinds, with holes and overlaps here and there. */
const runs = fc
  .array(
    fc.record({
      step: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 1, -1),
      operations: fc.constantFrom(1, 1, 1, 2, 5),
      size: fc.integer({ min: 1, max: 1500 }),
    }),
    { maxLength: 60 },
  )
  .map((steps) => {
    let next = 0;
    return steps
      .map(({ step, operations, size }, i): Run => {
        const first = Math.max(0, next + step);
        next = Math.max(next, first + operations);
        return { first, last: first + operations - 1, md5: String(i).padStart(32, "0"), size };
      })
      .toSorted(byName);
  });

function sequenceOf(some: readonly Run[]): Sequence {
  const sequence = new Sequence();
  for (const run of some) sequence.add(run);
  return sequence;
}

describe("the planner", () => {
  it("packs two or more small consecutive objects, none of them twice and never the last one", () => {
    fc.assert(
      fc.property(runs, limits, fc.option(fc.integer({ min: 2, max: 20 })), (some, limits, few) => {
        const sequence = sequenceOf(some);
        const fewest = Math.min(few ?? limits.operations, limits.operations);
        const packs = planSegments(sequence, limits, fewest);
        const last = Math.max(-1, ...some.map((run) => run.last));
        const lone = new Set(
          [...sequence.within({ first: 0, last: Number.MAX_SAFE_INTEGER })].filter(
            (piece) => !isOverlap(piece),
          ),
        );
        for (const pack of packs) {
          assert.ok(pack.length >= 2);
          pack.forEach((run, i) => {
            assert.ok(lone.has(run), "one that overlaps with another is not packed");
            assert.notEqual(run.last, last);
            assert.ok(run.size < limits.bytes / 2);
            if (i > 0) assert.equal(run.first, (pack[i - 1]?.last ?? 0) + 1);
          });
          const operations = (pack.at(-1)?.last ?? 0) - (pack[0]?.first ?? 0) + 1;
          const bytes = pack.reduce((sum, { size }) => sum + size + LINE_OVERHEAD, 0);
          assert.ok(operations >= fewest || bytes >= limits.bytes);
          if (operations < limits.operations && bytes < limits.bytes) {
            for (const run of pack) assert.ok(2 * lengthOf(run) <= operations);
          }
          assert.ok(bytes < 2 * (limits.bytes + pack.length * LINE_OVERHEAD));
        }
        const packed = packs.flat();
        assert.equal(new Set(packed).size, packed.length);
        for (const [i, run] of packed.entries()) {
          assert.ok(i === 0 || run.first > (packed[i - 1]?.last ?? 0));
        }
      }),
      { numRuns: share(500) },
    );
  });

  it("packs nothing below the limits, and all but the last object at them", () => {
    const singles = (count: number, size: number) =>
      sequenceOf(
        Array.from({ length: count }, (_, i) => ({ first: i, last: i, md5: "0".repeat(32), size })),
      );
    const limits = { operations: 10, bytes: 100_000, objects: 1000 };
    assert.deepEqual(planSegments(singles(10, 1), limits), []);
    assert.deepEqual(
      planSegments(singles(11, 1), limits).map(({ length }) => length),
      [10],
    );
    // 10,000 bytes each as lines: nine of them are below the limit, ten are not.
    assert.deepEqual(
      planSegments(singles(12, 9_900), { ...limits, operations: 1000 }).map(({ length }) => length),
      [10],
    );
    assert.deepEqual(planSegments(singles(100, 60_000), limits), []);
  });

  /**
   * The bounds, for a log of B bytes as lines, and limits of `operations` and `bytes`:
   *
   * - A full segment holds at least `bytes`, and an object that is too large to be packed holds at
   *   least half of that. Between two such objects there may be a stretch of less than `bytes`: of
   *   segments that hold at least `operations`, and of fewer single objects than that. So there are
   *   at most 2 B / bytes large objects, a stretch between each two, and one at the end.
   * - An operation is written once when it is appended, once when it is packed because of the number
   *   of operations, and once because of their bytes.
   */
  it("keeps a log's objects in proportion to its bytes, and writes each byte about three times at most", () => {
    const limits = { operations: 16, bytes: 20_000, objects: 1000 };
    const append = fc.record({
      operations: fc.oneof(
        { weight: 8, arbitrary: fc.constant(1) },
        { weight: 1, arbitrary: fc.integer({ min: 2, max: 60 }) },
      ),
      size: fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: 1, max: 300 }) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 12_000 }) },
      ),
    });
    fc.assert(
      fc.property(fc.array(append, { minLength: 1, maxLength: 600, size: "max" }), (appends) => {
        let stored: Run[] = [];
        let [next, bytes, written] = [0, 0, 0];
        for (const { operations, size } of appends) {
          const line = size + LINE_OVERHEAD;
          const objectSize = operations === 1 ? size : operations * line;
          const last = next + operations - 1;
          stored.push({ first: next, last, md5: String(next), size: objectSize });
          next = last + 1;
          bytes += operations * line;
          written += objectSize;
          for (;;) {
            const packs = planSegments(sequenceOf(stored), limits);
            if (packs.length === 0) break;
            for (const pack of packs) {
              const size = pack.reduce(
                (sum, run) => sum + run.size + (run.first === run.last ? LINE_OVERHEAD : 0),
                0,
              );
              const [start, end] = [pack[0], pack.at(-1)];
              assert.ok(start !== undefined && end !== undefined);
              const segment = { ...start, last: end.last, size };
              stored = [...stored.filter((run) => !pack.includes(run)), segment].sort(byName);
              written += size;
            }
          }
          // No operation is lost, and none is stored twice.
          assert.deepEqual(sequenceOf(stored).holes, []);
          assert.equal(sequenceOf(stored).overlaps().length, 0);
        }
        // Large objects, and a stretch of small ones beside each.
        const small = stored.filter(({ size }) => size < limits.bytes / 2).length;
        assert.ok(stored.length - small <= (2 * bytes) / limits.bytes);
        const stretches = stored.length - small + 1;
        assert.ok(small <= stretches * 2 * limits.operations, `${small} in ${stretches}`);
        assert.ok(written <= 3 * bytes, `${written} of ${bytes}`);
      }),
      { numRuns: share(60) },
    );
  });

  it("rewrites an operation at most log2(256) + 2 times, and leaves few objects, however often a log is idle", () => {
    const limits = { operations: 256, bytes: 2 ** 20, objects: 1000 };
    const append = fc.record({
      operations: fc.oneof(
        { weight: 4, arbitrary: fc.constant(1) },
        { weight: 1, arbitrary: fc.integer({ min: 2, max: 100 }) },
      ),
      idle: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(append, { minLength: 1, maxLength: 400, size: "max" }), (appends) => {
        let stored: Run[] = [];
        const rewritten: number[] = [];
        for (const { operations, idle } of appends) {
          const first = rewritten.length;
          const last = first + operations - 1;
          for (let i = 0; i < operations; i++) rewritten.push(0);
          stored.push({ first, last, md5: String(first), size: 100 * operations });
          const fewest = idle ? FEWEST_OPERATIONS : limits.operations;
          for (;;) {
            const packs = planSegments(sequenceOf(stored), limits, fewest);
            if (packs.length === 0) break;
            for (const pack of packs) {
              const segment = segmentOf(pack);
              stored = [...stored.filter((run) => !pack.includes(run)), segment].sort(byName);
              for (let i = segment.first; i <= segment.last; i++) {
                rewritten[i] = (rewritten[i] ?? 0) + 1;
              }
            }
          }
          if (!idle) continue;
          // Between two segments of 256 operations and more.
          let [objects, held] = [0, 0];
          for (const run of stored.slice(0, -1)) {
            [objects, held] =
              lengthOf(run) < limits.operations ? [objects + 1, held + lengthOf(run)] : [0, 0];
            assert.ok(objects <= 2 * Math.sqrt(held) + 1, `${objects} objects of ${held}`);
          }
        }
        assert.ok(Math.max(...rewritten) <= Math.log2(limits.operations) + 2);
      }),
      { numRuns: share(30) },
    );
  });

  it("packs shorter stretches of a user who has many small objects, in use or not", () => {
    const limits = { operations: 16, bytes: 100_000, objects: 20 };
    const user = someFingerprint();
    const clients = Array.from({ length: 20 }, newClient);
    const stored = new Map(clients.map((client): [string, Run[]] => [client, []]));
    let [written, most] = [0, 0];
    for (let index = 0; index < 30; index++) {
      for (const client of clients) {
        const runs = stored.get(client) ?? [];
        runs.push({ first: index, last: index, md5: "0".repeat(32), size: 1 });
        const listing = new Listing(
          [...stored]
            .flatMap(([client, runs]) =>
              runs.map(({ size, ...run }) => ({
                name: formatName({ user, client, ...run }),
                size,
              })),
            )
            .sort((a, b) => (a.name < b.name ? -1 : 1)),
        );
        most = Math.max(most, listing.runs);
        for (;;) {
          const packs = planSegments(sequenceOf(runs), limits, fewestOperations(listing, limits));
          if (packs.length === 0) break;
          for (const pack of packs) {
            const segment = segmentOf(pack);
            written += lengthOf(segment);
            const [start] = pack;
            assert.ok(start !== undefined);
            runs.splice(runs.indexOf(start), pack.length, segment);
          }
        }
      }
    }
    // At 160 small objects, 2 operations are enough. With 16 it would be 20 × 16 of them.
    assert.ok(most < 200, `${most}`);
    assert.ok(written <= 20 * 30 * (Math.log2(limits.operations) + 2), `${written}`);
  });
});

function segmentOf(pack: readonly Run[]): Run {
  const [start, end] = [pack[0], pack.at(-1)];
  assert.ok(start !== undefined && end !== undefined);
  return { ...start, last: end.last, size: pack.reduce((sum, { size }) => sum + size, 0) };
}
