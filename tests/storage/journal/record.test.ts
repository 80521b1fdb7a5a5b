import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import {
  COMMIT_BYTES,
  encodeBatch,
  encodeCommit,
  type RecordData,
  scan,
} from "../../../storage/journal/record.ts";

const SEED = 0x5eed;
const TIME = Date.UTC(2026, 10, 28);

const aRecord: fc.Arbitrary<RecordData> = fc.record({
  kind: fc.constantFrom("put", "delete"),
  name: fc.stringMatching(/^[A-Za-z0-9._-]{1,255}$/),
  body: fc.uint8Array({ maxLength: 200 }),
});
const someBatches = fc.array(fc.array(aRecord, { minLength: 1, maxLength: 4 }), { maxLength: 4 });

/** The bytes of batches, and where each batch ends, with its commit. */
function encode(batches: readonly (readonly RecordData[])[]) {
  const ends: number[] = [];
  const parts: Buffer[] = [];
  let base = 0;
  for (const batch of batches) {
    const { bytes } = encodeBatch(SEED, base, batch);
    const commit = encodeCommit(SEED, base + bytes.byteLength, TIME + ends.length);
    parts.push(bytes, commit);
    base += bytes.byteLength + commit.byteLength;
    ends.push(base);
  }
  return { bytes: Buffer.concat(parts), ends };
}

const plain = (records: readonly RecordData[]) =>
  records.map(({ kind, name, body }) => ({ kind, name, body: Buffer.from(body).toString("hex") }));

describe("the records of a journal", () => {
  it("are read as they were written, in pieces of any size", () => {
    fc.assert(
      fc.property(someBatches, fc.integer({ min: 1, max: 300 }), (batches, piece) => {
        const { bytes } = encode(batches);
        const found: RecordData[] = [];
        let end = 0;
        for (let size = 0; size < bytes.byteLength; ) {
          size = Math.min(bytes.byteLength, size + piece);
          const some = scan(SEED, bytes.subarray(end, size), end);
          assert.deepEqual(some.damage, []);
          found.push(...some.records);
          end = some.end;
        }
        assert.deepEqual(plain(found), plain(batches.flat()));
        assert.equal(end, bytes.byteLength);
      }),
    );
  });

  it("are read where a batch has more of them than a call takes arguments", () => {
    const { bytes } = encode([Array.from({ length: 200_000 }, () => put("a", 0))]);
    assert.equal(scan(SEED, bytes, 0).records.length, 200_000);
  });

  it("count in whole batches, wherever the journal is cut", () => {
    const batches = [[put("a", 20), put("b", 3)], [put("c", 30)], [put("d", 1), put("e", 2)]];
    const { bytes, ends } = encode(batches);
    for (let cut = 0; cut <= bytes.byteLength; cut++) {
      const { records, damage, end, tail } = scan(SEED, bytes.subarray(0, cut), 0);
      const whole = ends.filter((at) => at <= cut).length;
      assert.deepEqual(damage, []);
      assert.equal(end, ends[whole - 1] ?? 0);
      assert.deepEqual(plain(records), plain(batches.slice(0, whole).flat()));
      const next = batches[whole] ?? [];
      assert.deepEqual(plain(tail), plain(next.slice(0, tail.length)));
      // All that follows is whole but the commit.
      if (cut + COMMIT_BYTES >= (ends[whole] ?? Infinity)) assert.equal(tail.length, next.length);
    }
  });

  it("are served around any flipped bit, which is reported unless no commit follows", () => {
    const batches = [[put("a", 20), put("b", 3)], [put("c", 30)], [put("d", 8), put("e", 1)]];
    const { bytes } = encode(batches);
    const all = plain(batches.flat()).map((record) => JSON.stringify(record));
    const lastCommit = bytes.byteLength - COMMIT_BYTES;
    for (let at = 0; at < bytes.byteLength; at++) {
      for (let bit = 0; bit < 8; bit++) {
        const broken = Buffer.from(bytes);
        broken.writeUInt8(broken.readUInt8(at) ^ (1 << bit), at);
        const { records, damage, tail } = scan(SEED, broken, 0);
        const found = plain([...records, ...tail]).map((record) => JSON.stringify(record));
        assert.deepEqual(
          found,
          all.filter((record) => found.includes(record)),
        );
        assert.ok(found.length >= all.length - 1, `byte ${at}`);
        assert.equal(damage.length, at < lastCommit ? 1 : 0);
        if (at < lastCommit) assert.deepEqual(tail, []);
        else assert.equal(found.length, all.length);
      }
    }
  });

  it("have the time at which their batch was committed, whatever the clock says", () => {
    const batches = [[put("a", 20), put("b", 3)], [put("c", 30)]];
    const { bytes, ends } = encode(batches);
    const { records } = scan(SEED, bytes, 0);
    assert.deepEqual(
      records.map(({ name, committedAt }) => [name, committedAt]),
      [
        ["a", TIME],
        ["b", TIME],
        ["c", TIME + 1],
      ],
    );
    // Not of what no commit follows.
    const { tail } = scan(
      SEED,
      bytes.subarray(ends[0], bytes.byteLength - COMMIT_BYTES),
      ends[0] ?? 0,
    );
    assert.deepEqual(
      tail.map(({ committedAt }) => committedAt),
      [undefined],
    );
    for (const [time, found] of [
      [-1, 0],
      [0.25, 1],
      [Number.MAX_SAFE_INTEGER, 2 ** 48 - 1],
    ] as const) {
      const batch = encodeBatch(SEED, 0, [put("a", 1)]).bytes;
      const commit = encodeCommit(SEED, batch.byteLength, time);
      const [record] = scan(SEED, Buffer.concat([batch, commit]), 0).records;
      assert.equal(record?.committedAt, found);
    }
  });

  it("are not taken from another journal, or from another place", () => {
    const { bytes } = encode([[put("a", 20)]]);
    for (const [seed, base] of [
      [SEED + 1, 0],
      [SEED, 1],
    ] as const) {
      const { records, tail } = scan(seed, bytes, base);
      assert.deepEqual([...records, ...tail], []);
    }
  });
});

function put(name: string, size: number): RecordData {
  return { kind: "put", name, body: Buffer.alloc(size, name) };
}
