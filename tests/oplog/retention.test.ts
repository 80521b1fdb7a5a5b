import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { Listing } from "../../oplog/listing.ts";
import {
  formatFloor,
  formatName,
  formatSnapshot,
  parseFloor,
  parseName,
  parseSnapshot,
} from "../../oplog/names.ts";
import { Sequence } from "../../oplog/sequence.ts";
import { newClient, someFingerprint } from "../support/users.ts";

const user = someFingerprint();
const client = newClient();
const md5 = "0cc175b9c0f1b6a831c399e269772661";

describe("names of snapshots and floors", () => {
  const index = fc.maxSafeNat();
  it("are parsed back to their parts, and are no other names", () => {
    fc.assert(
      fc.property(index, index, fc.uuid(), (at, index, client) => {
        const snapshot = { user, at, client, index, md5 };
        assert.deepEqual(parseSnapshot(formatSnapshot(snapshot)), snapshot);
        const floor = { user, client, index, at };
        assert.deepEqual(parseFloor(formatFloor(floor)), floor);
        for (const name of [formatSnapshot(snapshot), formatFloor(floor)]) {
          assert.equal(parseName(name), undefined);
          assert.ok(name.length <= 255);
        }
        assert.equal(parseFloor(formatSnapshot(snapshot)), undefined);
        assert.equal(parseSnapshot(formatFloor(floor)), undefined);
      }),
    );
  });

  it("sort by time, and behind the operations of the client", () => {
    const at = (seconds: number) => formatSnapshot({ user, at: seconds, client, index: 0, md5 });
    assert.ok(at(9) < at(10));
    const operation = formatName({ user, client, first: 9, last: 9, md5 });
    assert.ok(operation < formatFloor({ user, client, index: 0, at: 0 }));
  });
});

describe("a sequence of which a part was trimmed", () => {
  const run = (first: number, last = first) => ({ first, last, md5, size: 10 });
  const of = (base: number, ...spans: [number, number?][]) => {
    const sequence = new Sequence(base);
    for (const [first, last] of spans) sequence.add(run(first, last));
    return sequence;
  };

  it("goes on at its base where nothing is left", () => {
    const sequence = of(5, [0, 2], [3], [4]);
    assert.deepEqual([sequence.next, sequence.end, sequence.runs.length], [5, 4, 0]);
    assert.deepEqual([sequence.holes, sequence.trimmed.length], [[], 3]);
    assert.ok(sequence.endsBefore(5) && !sequence.endsBefore(4) && !sequence.endsBefore(0));
    sequence.add(run(5));
    assert.deepEqual([sequence.next, sequence.end], [6, 5]);
  });

  it("has an object that holds operations on both sides, as a whole", () => {
    const sequence = of(5, [0, 2], [3, 7], [8]);
    assert.deepEqual([sequence.next, sequence.holes], [9, []]);
    assert.deepEqual(
      sequence.runs.map(({ first }) => first),
      [3, 8],
    );
    assert.deepEqual(sequence.above(4), { first: 5, last: 8 });
  });

  it("has no hole below its base, and has one above", () => {
    assert.deepEqual(of(5, [1], [3], [5]).holes, []);
    const sequence = of(5, [7, 9]);
    assert.deepEqual(sequence.holes, [{ first: 5, last: 6 }]);
    assert.deepEqual([sequence.next, sequence.above(4)], [5, undefined]);
    assert.ok(!sequence.endsBefore(5));
  });

  it("sees objects that overlap across its base as an overlap", () => {
    const [overlap] = of(5, [3, 6], [4, 8]).overlaps();
    assert.deepEqual([overlap?.first, overlap?.last], [3, 8]);
    assert.deepEqual(of(5, [0, 4], [1, 3], [5]).overlaps(), []);
  });
});

describe("a listing with floors", () => {
  const object = (first: number) => ({
    name: formatName({ user, client, first, last: first, md5 }),
    size: 10,
  });
  const floor = (index: number, at = 0) => ({
    name: formatFloor({ user, client, index, at }),
    size: 0,
  });

  it("goes by the highest of a client, and counts neither what is below it nor itself as operations", () => {
    const listing = new Listing([object(0), object(1), object(2), floor(0), floor(1)]);
    assert.deepEqual([listing.runs, listing.footprint], [1, { objects: 1, bytes: 10 }]);
    assert.equal(listing.clients.get(client)?.base, 2);
    assert.equal(listing.unrecognized, 0);
  });

  it("knows a client of which nothing but a floor is left", () => {
    const listing = new Listing([floor(6)]);
    assert.equal(listing.clients.get(client)?.next, 7);
    assert.ok(!listing.isEmpty);
    assert.ok(listing.extend({ user, client, first: 7, last: 7, md5 }, 10));
  });

  it("says which readers lack what was trimmed", () => {
    const listing = new Listing([object(0), object(1), object(2), floor(1)]);
    for (const [index, isBeyond] of [
      [-1, true],
      [0, true],
      [1, false],
      [9, false],
    ] as const) {
      assert.equal(listing.isBeyond(new Map([[client, index]])), isBeyond, String(index));
    }
    assert.ok(listing.isBeyond(new Map()));
    assert.ok(!new Listing([object(0)]).isBeyond(new Map()));
  });

  it("keeps its floor through appends and compactions", () => {
    const listing = new Listing([object(0), object(1), object(2), floor(1)]);
    const runs = listing.clients.get(client)?.runs ?? [];
    const changed = listing
      .appended({ user, client, first: 0, last: 0, md5: "f".repeat(32) }, 10)
      .appended({ user, client, first: 4, last: 4, md5 }, 10)
      .compacted(client, runs, [{ first: 0, last: 2, md5, size: 30 }]);
    const sequence = changed.clients.get(client);
    assert.deepEqual([sequence?.base, sequence?.next, sequence?.trimmed.length], [2, 3, 3]);
    assert.deepEqual(changed.footprint, { objects: 2, bytes: 40 });
    assert.ok(changed.isBeyond(new Map()));
  });
});
